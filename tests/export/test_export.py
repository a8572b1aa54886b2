"""Exported policies decide as Python's do; damaged ones are refused. Observations differ from those `export` checks."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
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


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    algorithm, spec = CASES[request.param]
    state = far_from_fresh(jax.jit(lambda key: algorithm.init(key, spec))(jax.random.key(0)))
    folder = tmp_path_factory.mktemp(request.param)
    export(algorithm, state, spec, folder, ("stablehlo", "onnx") if ONNX else ("stablehlo",))
    return Case(algorithm, spec, state, folder)


def far_from_fresh(state: Any) -> Any:
    """Every weight moved, biases and statistics included, so that leaving one out shows."""
    rng = np.random.default_rng(7)
    moved = jax.tree.map(lambda x: x + rng.normal(0.0, 0.5, x.shape).astype(x.dtype), state)
    if "moments" not in getattr(state, "_fields", ()):
        return moved
    shape = state.moments[0].mean.shape
    return moved._replace(moments=[Moments(jnp.float32(100), jnp.full(shape, 0.7), jnp.full(shape, 4.0))])


def tree_of(case: Case, seed: int = SEED) -> Any:
    """Random observations as a tree, [ROWS, ...]."""
    named = observations(case.spec, ROWS, seed)
    leaves = [named[name] for name in names(case.spec.obs, "obs")]
    return jax.tree.structure(case.spec.obs).unflatten(leaves)


def row(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda x: x[i], tree)


def python(case: Case, obs: Any, memory: Any = None) -> tuple[Any, Any]:
    """The policy as Python has it, for one observation."""
    decision = case.algorithm.greedy(case.state, obs, jax.random.key(5), memory)
    return confine(case.spec.action, decision.action), decision.memory


def begin(case: Case, obs: Any) -> Any:
    return case.algorithm.begin(case.state, obs, jax.random.key(5))


def is_recurrent(case: Case) -> bool:
    return begin(case, row(tree_of(case), 0)) is not None


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


def test_ten_steps_with_memory(case: Case) -> None:
    if not is_recurrent(case):
        pytest.skip("no memory")
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
    for step in range(3 if is_recurrent(case) else 1):
        answers = [python(case, row(obs, i), memories[i]) for i in range(ROWS)]
        inputs = dict(named)
        if is_recurrent(case):
            stacked = jax.tree.map(lambda *x: np.stack(x), *memories)
            inputs |= dict(zip(names(stacked, "memory"), jax.tree.leaves(stacked)))
        outputs = dict(zip([x.name for x in session.get_outputs()], session.run(None, inputs)))
        want = np.stack([answer for answer, _ in answers])
        np.testing.assert_allclose(outputs["action"], want, rtol=1e-5, atol=1e-5, err_msg=f"step {step}")
        memories = [memory for _, memory in answers]
    assert session.get_inputs()[0].shape[0] == "batch"


def test_the_bounds_are_in_the_file(case: Case) -> None:
    if not isinstance(case.spec.action, Box):
        pytest.skip("no bounds")
    action = np.asarray(decided(load(case.folder)(tree_of(case))))
    low, high = case.spec.action.bounds()
    raw = np.stack(
        [
            case.algorithm.greedy(case.state, obs, jax.random.key(0), begin(case, obs)).action
            for obs in (row(tree_of(case), i) for i in range(ROWS))
        ]
    )
    assert ((raw > high) | (raw < low)).any()  # the network does leave the box
    assert (action <= high + 1e-7).all()
    assert (action >= low - 1e-7).all()


def test_masked_actions_are_legal(case: Case) -> None:
    if not isinstance(case.spec.obs, Masked):
        pytest.skip("no mask")
    obs = tree_of(case)
    first, second = np.asarray(load(case.folder)(obs)).T
    assert obs.legal[np.arange(ROWS), first].all()
    assert obs.legal[np.arange(ROWS), 3 + second].all()
    free = np.asarray(load(case.folder)(obs._replace(legal=np.ones_like(obs.legal))))
    assert (free != np.stack([first, second], 1)).any()  # the mask did decide something


def test_the_normaliser_is_in_the_file(tmp_path: Path) -> None:
    algorithm, spec = CASES["normalised"]
    state = far_from_fresh(algorithm.init(jax.random.key(0), spec))
    export(algorithm, state, spec, tmp_path / "with", ("stablehlo",))
    export(algorithm.inner, state.inner, spec, tmp_path / "without", ("stablehlo",))
    raw = observations(spec, 64, SEED)["obs"]
    seen = (raw - 0.7) / np.sqrt(4.0 + 1e-8)  # by hand: mean 0.7, variance 4
    with_it, without = load(tmp_path / "with"), load(tmp_path / "without")
    np.testing.assert_array_equal(with_it(raw), without(seen))
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


def test_the_file_needs_no_bellmax(case: Case) -> None:
    if is_recurrent(case) or not isinstance(case.spec.action, Discrete):
        pytest.skip("one case is enough, and a process is slow")
    if isinstance(case.algorithm, Normalised) or len(case.spec.obs.shape) > 1:
        pytest.skip("one case is enough, and a process is slow")
    lines = json.loads((case.folder / "policy.json").read_text())["files"]["stablehlo"]["load"]
    script = "\n".join([*lines, "import sys", "print(int(action[0]), 'bellmax' in sys.modules)"])
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=case.folder, capture_output=True, text=True, timeout=120, check=True
    )
    assert answer.stdout.split() == [str(int(load(case.folder)(np.zeros(4)))), "False"]


def test_no_random_numbers_are_drawn(case: Case) -> None:
    exported = jax.export.deserialize(bytearray((case.folder / "policy.stablehlo").read_bytes()))
    module = exported.mlir_module()
    assert "dot_general" in module or "convolution" in module  # there is something to search
    for word in ("threefry", "rng_bit", "random"):
        assert word not in module
    assert set(exported.platforms) == {"cpu", "cuda"}


def test_names_are_readable(case: Case) -> None:
    manifest = json.loads((case.folder / "policy.json").read_text())
    inputs = list(manifest["inputs"])
    if isinstance(case.spec.obs, dict):
        assert inputs == ["obs.hand", "obs.lamps", "obs.pair.0", "obs.pair.1"]
    elif isinstance(case.spec.obs, Masked):
        assert inputs == ["obs", "legal"]
    elif is_recurrent(case):
        assert inputs[0] == "obs"
        assert set(inputs[1:]) in ({"memory"}, {"memory.0", "memory.1"})
    else:
        assert inputs == ["obs"]


def test_loaded_policies_say_what_is_wrong_with_an_observation(tmp_path: Path) -> None:
    algorithm, spec = CASES["discrete"]
    export(algorithm, algorithm.init(jax.random.key(0), spec), spec, tmp_path, ("stablehlo",))
    policy = load(tmp_path)
    assert isinstance(policy, Policy)
    assert policy.spec.obs == spec.obs
    with pytest.raises(ValueError, match=r"obs has shape \(3,\): it must be \(4,\)"):
        policy(np.zeros(3))
    with pytest.raises(ValueError, match="The policy wants obs; it was given obs.x"):
        policy({"x": np.zeros(4)})
