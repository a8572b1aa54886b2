"""Exported policies decide as Python's do; damaged ones are refused. Observations differ from those `export` checks."""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.policy.ppo import PPO
from bellmax.algorithms.policy.recurrent_ppo import RecurrentPPO
from bellmax.algorithms.wrappers.normalised import Normalised
from bellmax.core import Algorithm, Spec
from bellmax.export import Policy, export, load
from bellmax.export.flat import names
from bellmax.export.observations import observations
from bellmax.maths.statistics import Moments
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, confine

ONNX = all(importlib.util.find_spec(name) for name in ("jax2onnx", "onnxruntime"))
needs_onnx = pytest.mark.skipif(not ONNX, reason='ONNX needs pip install "bellmax[onnx]"')
ROWS, SEED = 12, 1234  # not the seed that `export` checks with


class Case(NamedTuple):
    algorithm: Algorithm
    spec: Spec
    state: Any
    folder: Path


NESTED = {"hand": Discrete(3), "pair": (Box((2, 2)), MultiDiscrete((2, 3))), "lamps": MultiBinary(2)}
CASES = {
    "discrete": (PPO(hidden=(16,)), Spec(Box((4,)), Discrete(5))),
    "box": (PPO(hidden=(16,), activation="relu"), Spec(Box((3,)), Box((2,), -0.5, (0.5, 0.25)))),
    "mask": (PPO(hidden=(16,), activation="gelu"), Spec(Masked(Box((3,)), MultiBinary(5)), MultiDiscrete((3, 2)))),
    "nested": (PPO(hidden=(16,), activation="swish"), Spec(NESTED, MultiBinary(3))),
    "pixels": (PPO(hidden=(16,)), Spec(Box((10, 10, 4), 0, 255, "uint8"), Discrete(5))),
    "normalised": (Normalised(PPO(hidden=(16,))), Spec(Box((4,)), Discrete(5))),
    "gru": (Normalised(RecurrentPPO(hidden=(8,), memory_size=6)), Spec(Box((2,)), Discrete(5))),
    "lstm": (RecurrentPPO(hidden=(8,), memory_size=6, cell="lstm"), Spec(Box((2,)), Box((2,), -0.3, 0.3))),
}


RECURRENT = [name for name, (algorithm, _) in CASES.items() if "Recurrent" in repr(algorithm)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """Exports a case by name, once."""

    @functools.cache
    def make(name: str) -> Case:
        algorithm, spec = CASES[name]
        state, folder = random_state(algorithm, spec), tmp_path_factory.mktemp(name)
        export(algorithm, state, spec, folder, ("stablehlo", "onnx") if ONNX else ("stablehlo",))
        return Case(algorithm, spec, state, folder)

    return make


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, exported: Callable[[str], Case]) -> Case:
    return exported(request.param)


def random_state(algorithm: Algorithm, spec: Spec) -> Any:
    """A state with every number drawn, biases included, so that leaving one out shows; mean 0.7 and variance 0.04."""
    rng, shapes = np.random.default_rng(7), jax.eval_shape(lambda: algorithm.init(jax.random.key(0), spec))
    state = jax.tree.map(lambda x: jnp.asarray(rng.normal(0.0, 0.5, x.shape), x.dtype), shapes)
    if not isinstance(algorithm, Normalised):
        return state
    shape = spec.obs.shape
    return state._replace(moments=[Moments(jnp.float32(100), jnp.full(shape, 0.7), jnp.full(shape, 0.04))])


def tree_of(case: Case, seed: int = SEED) -> Any:
    """Random observations as a tree, [ROWS, ...]."""
    named = observations(case.spec, ROWS, seed)
    leaves = [named[name] for name in names(case.spec.obs, "obs")]
    return jax.tree.structure(case.spec.obs).unflatten(leaves)


def row(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda x: x[i], tree)


@jax.jit
def greedy(algorithm: Algorithm, state: Any, obs: Any, memory: Any) -> tuple[Any, Any]:
    decision = algorithm.greedy(state, obs, jax.random.key(5), memory)
    return decision.action, decision.memory


def python(case: Case, obs: Any, memory: Any = None) -> tuple[np.ndarray, Any]:
    """What Python does with one observation -> action, memory."""
    action, memory = greedy(case.algorithm, case.state, obs, memory)
    return np.asarray(confine(case.spec.action, action)), memory


def begin(case: Case, obs: Any) -> Any:
    return case.algorithm.begin(case.state, obs, jax.random.key(5))


def decided(answer: Any) -> Any:
    return answer[0] if isinstance(answer, tuple) else answer


def test_one_observation_and_a_batch_are_answered_as_python_answers(case: Case) -> None:
    policy, obs = load(case.folder), tree_of(case)
    want = np.stack([python(case, row(obs, i), begin(case, row(obs, i)))[0] for i in range(ROWS)])
    batch = np.asarray(decided(policy(obs)))
    single = np.stack([np.asarray(decided(policy(row(obs, i)))) for i in range(ROWS)])
    assert batch.dtype == want.dtype
    np.testing.assert_allclose(batch, want, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(single, want, rtol=1e-5, atol=1e-5)
    assert len(np.unique(want, axis=0)) > 1  # a policy that always does the same would prove little


@pytest.mark.parametrize("name", RECURRENT)
def test_ten_steps_with_memory(exported: Callable[[str], Case], name: str) -> None:
    case = exported(name)
    policy, obs = load(case.folder), tree_of(case)
    memory, exported, forgetful = begin(case, row(obs, 0)), None, []
    for i in range(10):
        want, memory = python(case, row(obs, i), memory)
        got, exported = policy(row(obs, i), exported)
        forgetful.append(np.asarray(policy(row(obs, i))[1]["memory" if "memory" in exported else "memory.0"]))
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        for mine, theirs in zip(jax.tree.leaves(memory), jax.tree.leaves(exported)):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    # The control: without the memory the tenth step is another.
    assert np.abs(forgetful[-1] - jax.tree.leaves(memory)[0]).max() > 1e-2


@needs_onnx
def test_onnx_decides_as_python(case: Case) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(case.folder / "policy.onnx", providers=["CPUExecutionProvider"])
    obs, named = tree_of(case), observations(case.spec, ROWS, SEED)
    memories = [begin(case, row(obs, i)) for i in range(ROWS)]
    for step in range(3 if memories[0] is not None else 1):
        answers = [python(case, row(obs, i), memories[i]) for i in range(ROWS)]
        inputs = dict(named)
        if memories[0] is not None:
            stacked = jax.tree.map(lambda *x: np.stack(x), *memories)
            inputs |= dict(zip(names(stacked, "memory"), jax.tree.leaves(stacked)))
        outputs = dict(zip([x.name for x in session.get_outputs()], session.run(None, inputs)))
        want = np.stack([answer for answer, _ in answers])
        np.testing.assert_allclose(outputs["action"], want, rtol=1e-5, atol=1e-5, err_msg=f"step {step}")
        memories = [memory for _, memory in answers]
    assert session.get_inputs()[0].shape[0] == "batch"


@pytest.mark.parametrize("name", ["box", "lstm"])
def test_the_bounds_are_in_the_file(exported: Callable[[str], Case], name: str) -> None:
    case = exported(name)
    obs, (low, high) = tree_of(case), case.spec.action.bounds()
    action = np.asarray(decided(load(case.folder)(obs)))
    rows = [row(obs, i) for i in range(ROWS)]
    raw = np.stack([greedy(case.algorithm, case.state, x, begin(case, x))[0] for x in rows])
    assert ((raw > high) | (raw < low)).any()  # the network does leave the box
    assert (action <= high.astype(np.float32)).all()
    assert (action >= low.astype(np.float32)).all()


def test_masked_actions_are_legal(exported: Callable[[str], Case]) -> None:
    case = exported("mask")
    obs = tree_of(case)
    first, second = np.asarray(load(case.folder)(obs)).T
    assert obs.legal[np.arange(ROWS), first].all()
    assert obs.legal[np.arange(ROWS), 3 + second].all()
    free = np.asarray(load(case.folder)(obs._replace(legal=np.ones_like(obs.legal))))
    assert (free != np.stack([first, second], 1)).any()  # the mask did decide something


def test_the_normaliser_is_in_the_file(tmp_path: Path) -> None:
    algorithm, spec = CASES["normalised"]
    state = random_state(algorithm, spec)
    export(algorithm, state, spec, tmp_path / "with", ("stablehlo",))
    export(algorithm.inner, state.inner, spec, tmp_path / "without", ("stablehlo",))
    raw = observations(spec, 64, SEED)["obs"]
    seen = ((raw - 0.7) / 0.2).clip(-10, 10)  # by hand: mean 0.7, variance 0.04
    with_it, without = load(tmp_path / "with"), load(tmp_path / "without")
    assert (np.asarray(with_it(raw)) == np.asarray(without(seen))).mean() > 0.95  # rounding may break a near tie
    assert (np.asarray(without(raw)) != np.asarray(with_it(raw))).any()


def test_the_manifest_says_how_to_load_it_and_is_right(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = json.loads((case.folder / "policy.json").read_text())
    monkeypatch.chdir(case.folder)
    for name, entry in manifest["files"].items():
        assert len(entry["load"]) == 5, name
        scope: dict[str, Any] = {}
        exec("\n".join(entry["load"]), scope)
        zero = jax.tree.map(jnp.asarray, row(tree_of(case), 0))
        blank = jax.tree.map(lambda x: jnp.ones_like(x) if x.dtype == bool else jnp.zeros_like(x), zero)
        want = python(case, blank, begin(case, blank))[0]
        np.testing.assert_allclose(np.asarray(scope["action"])[0], want, rtol=1e-5, atol=1e-5)
        assert entry["random"] is False


def test_the_file_needs_no_bellmax(exported: Callable[[str], Case]) -> None:
    case = exported("discrete")
    lines = json.loads((case.folder / "policy.json").read_text())["files"]["stablehlo"]["load"]
    script = "\n".join([*lines, "import sys", "print(int(action[0]), 'bellmax' in sys.modules)"])
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, cwd=case.folder, capture_output=True, text=True, timeout=120, check=True)
    assert answer.stdout.split() == [str(int(load(case.folder)(np.zeros(4)))), "False"]


def test_no_random_numbers_are_drawn(case: Case) -> None:
    exported = jax.export.deserialize(bytearray((case.folder / "policy.stablehlo").read_bytes()))
    module = exported.mlir_module()
    assert "dot_general" in module or "convolution" in module  # there is something to search
    for word in ("threefry", "rng_bit", "random"):
        assert word not in module
    assert set(exported.platforms) == {"cpu", "cuda"}


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("discrete", ["obs"]),
        ("mask", ["obs", "legal"]),
        ("nested", ["obs.hand", "obs.lamps", "obs.pair.0", "obs.pair.1"]),
        ("gru", ["obs", "memory"]),
        ("lstm", ["obs", "memory.0", "memory.1"]),
    ],
)
def test_names_are_readable(exported: Callable[[str], Case], name: str, inputs: list[str]) -> None:
    manifest = json.loads((exported(name).folder / "policy.json").read_text())
    assert list(manifest["inputs"]) == inputs
    assert list(manifest["outputs"]) == ["action", *(f"next_{x}" for x in inputs if x.startswith("memory"))]


def test_loaded_policies_say_what_is_wrong_with_an_observation(exported: Callable[[str], Case]) -> None:
    case = exported("discrete")
    policy = load(case.folder)
    assert isinstance(policy, Policy)
    assert policy.spec == case.spec
    with pytest.raises(ValueError, match=r"obs has shape \(3,\): it must be \(4,\)"):
        policy(np.zeros(3))
    with pytest.raises(ValueError, match=r"The policy wants obs; it was given obs\.x"):
        policy({"x": np.zeros(4)})
