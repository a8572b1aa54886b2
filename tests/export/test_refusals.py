"""What `export` and `load` refuse: wrong files, damaged files, missing libraries, policies that no file can hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.policy.ppo import PPO
from bellmax.core import Algorithm, Decision, Spec
from bellmax.experience import Steps
from bellmax.export import FORMATS, DamagedPolicy, ExportFailed, export, load, writing
from bellmax.export.agreement import check
from bellmax.export.flat import Flat, flatten, names
from bellmax.export.observations import observations
from bellmax.runs.disk import RunFolderError
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, Simulated

SPEC = Spec(Box((4,)), Discrete(3))
ALGORITHM = PPO(hidden=(8,))


class Table(Algorithm):
    """A policy made for these tests: logits = obs W; the memory counts steps, or is what was first seen."""

    experience: Steps = Steps(1)
    memory: str = "none"
    sampled: bool = False

    def begin(self, state: Any, obs: Any, key: jax.Array) -> Any:
        return {"none": None, "count": jnp.int32(0), "first": obs, "key": key}[self.memory]

    def act(self, state: Any, obs: Any, key: jax.Array, memory: Any = None) -> Decision:
        logits = obs @ state
        action = jax.random.categorical(key, logits) if self.sampled else logits.argmax().astype(jnp.int32)
        return Decision(action, {}, memory + 1 if self.memory == "count" else memory)


@pytest.fixture
def state() -> Any:
    rng, shapes = np.random.default_rng(3), jax.eval_shape(lambda: ALGORITHM.init(jax.random.key(0), SPEC))
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(0.0, 0.5, x.shape), x.dtype), shapes)


@pytest.fixture
def folder(tmp_path: Path, state: Any) -> Path:
    export(ALGORITHM, state, SPEC, tmp_path, ("stablehlo",))
    load(tmp_path)(np.zeros(4))  # the control: as it is, it loads
    return tmp_path


def test_who_plans_with_the_rules_stays_here() -> None:
    with pytest.raises(
        ExportFailed, match=r"PPO searches in the rules .* a file has no rules: play it with bellmax\.load"
    ):
        flatten(ALGORITHM, None, Spec(Simulated(Box((4,)), Box(())), Discrete(3)))


@pytest.mark.parametrize("place", [10, 1000, -10])
def test_a_changed_byte_is_noticed(folder: Path, place: int) -> None:
    content = bytearray((folder / "policy.stablehlo").read_bytes())
    content[place] ^= 1
    (folder / "policy.stablehlo").write_bytes(content)
    with pytest.raises(DamagedPolicy, match="is not the file that was exported"):
        load(folder)


def test_a_file_cut_short_is_noticed(folder: Path) -> None:
    content = (folder / "policy.stablehlo").read_bytes()
    (folder / "policy.stablehlo").write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedPolicy):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": 1, "files": {}}'])
def test_a_damaged_manifest_is_noticed(folder: Path, text: str) -> None:
    (folder / "policy.json").write_text(text)
    with pytest.raises(DamagedPolicy, match=r"policy\.json is damaged"):
        load(folder)


def test_missing_files_and_newer_ones_are_named(folder: Path) -> None:
    manifest = json.loads((folder / "policy.json").read_text())
    (folder / "policy.json").write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(RunFolderError, match="version 99"):
        load(folder)
    (folder / "policy.json").write_text(json.dumps(manifest | {"files": {}}))
    with pytest.raises(RunFolderError, match="holds no StableHLO"):
        load(folder)
    with pytest.raises(RunFolderError, match="no such file"):
        load(folder / "nowhere")


def test_a_wrong_file_is_never_left_behind(tmp_path: Path, state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converter that loses the bias: the check finds it, and what was there before stays."""
    export(ALGORITHM, state, SPEC, tmp_path, ("stablehlo",))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    moved = jax.tree.map(lambda x: x + 0.3 if x.ndim == 1 else x, state)
    right = FORMATS["stablehlo"]

    def wrong(flat: Flat) -> Any:
        return right.convert(
            flat._replace(state=jax.tree.map(lambda x: jnp.zeros_like(x) if x.ndim == 1 else -x, flat.state))
        )

    monkeypatch.setitem(writing.FORMATS, "stablehlo", right._replace(convert=wrong))
    with pytest.raises(ExportFailed, match=r"policy.stablehlo does not decide as the policy does: for \{'obs': \["):
        export(ALGORITHM, moved, SPEC, tmp_path, ("stablehlo",))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def table(weights: list[list[float]], **fields: Any) -> Flat:
    return flatten(Table(**fields), jnp.asarray(weights, jnp.float32), Spec(Box((1,)), Discrete(3)))


def test_ties_may_fall_either_way() -> None:
    """Where logits are equal a file may choose any of them; elsewhere it must choose as the policy does."""
    flat, spec = table([[0.0, 0.0, 0.0]]), Spec(Box((1,)), Discrete(3))

    def always(action: int) -> Any:
        return lambda inputs: {"action": np.full(len(inputs["obs"]), action, np.int32)}

    for action in range(3):
        check(flat, spec, always(action), "file")
    # Half of the observations are positive and prefer action 1, the others 0 and 2, which tie.
    split = table([[-1.0, 1.0, -1.0]])

    def other(inputs: Any) -> Any:
        return {"action": np.where(inputs["obs"][:, 0] > 0, 1, 2).astype(np.int32)}

    check(split, spec, other, "file")
    with pytest.raises(ExportFailed, match="'action' is 1, the file's 2"):
        check(split, spec, always(2), "file")


def test_numbers_may_differ_by_rounding_alone() -> None:
    spec = Spec(Box((2,)), Box((1,)))

    class Twice(Algorithm):
        experience: Steps = Steps(1)

        def act(self, state: Any, obs: Any, key: jax.Array, memory: Any = None) -> Decision:
            return Decision(obs[:1] * state)

    flat = flatten(Twice(), jnp.float32(2), spec)

    def off(by: float) -> Any:
        return lambda inputs: {"action": inputs["obs"][:, :1] * np.float32(2) + np.float32(by)}

    check(flat, spec, off(2e-6), "file")
    with pytest.raises(ExportFailed, match="file does not decide"):
        check(flat, spec, off(5e-5), "file")
    with pytest.raises(ExportFailed, match="float64"):
        check(flat, spec, lambda inputs: {"action": inputs["obs"][:, :1].astype(float) * 2}, "file")
    with pytest.raises(ExportFailed, match="no output 'action', only value"):
        check(flat, spec, lambda inputs: {"value": inputs["obs"]}, "file")


def test_a_random_policy_is_said_to_be_one(tmp_path: Path) -> None:
    spec, weights = Spec(Box((1,)), Discrete(3)), jnp.asarray([[1.0, 0.5, 0.0]])
    with pytest.warns(UserWarning, match="Table draws at random"):
        export(Table(sampled=True), weights, spec, tmp_path, ("stablehlo",))
    assert json.loads((tmp_path / "policy.json").read_text())["files"]["stablehlo"]["random"] is True


@pytest.mark.parametrize(("memory", "words"), [("first", "begins with what it first observes"), ("key", "random keys")])
def test_memories_that_no_file_can_hold(tmp_path: Path, memory: str, words: str) -> None:
    with pytest.raises(ExportFailed, match=words):
        export(Table(memory=memory), jnp.ones((1, 3)), Spec(Box((1,)), Discrete(3)), tmp_path, ("stablehlo",))
    assert list(tmp_path.iterdir()) == []


def test_whole_number_memories_are_carried(tmp_path: Path) -> None:
    export(Table(memory="count"), jnp.ones((1, 3)), Spec(Box((1,)), Discrete(3)), tmp_path, ("stablehlo",))
    policy, memory = load(tmp_path), None
    for _ in range(4):
        _, memory = policy(np.zeros(1), memory)
    assert memory["memory"] == 4
    assert policy.begin(2)["memory"].tolist() == [0, 0]


def test_a_missing_library_is_named_before_anything_is_written(
    tmp_path: Path, state: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "bellmax\[onnx\]"'):
        export(ALGORITHM, state, SPEC, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_unknown_format_is_named(tmp_path: Path, state: Any) -> None:
    with pytest.raises(ValueError, match=r"'tflite' is none; choose from stablehlo, onnx"):
        export(ALGORITHM, state, SPEC, tmp_path, ("tflite",))


def test_two_inputs_never_share_a_name() -> None:
    assert names({"a": (0, 1), "b": Masked({"c": 0}, 1)}, "obs") == ["obs.a.0", "obs.a.1", "obs.b.c", "b.legal"]
    with pytest.raises(ExportFailed, match=r"both be called 'obs\.a\.b'"):
        names({"a": {"b": 0}, "a.b": 0}, "obs")


def test_drawn_observations_fit_their_spaces() -> None:
    space = {
        "pixels": Box((2, 2), 0, 255, "uint8"),
        "bounded": Box((3,), -2.0, (1.0, 2.0, 3.0)),
        "limits": Box((2,), -3.4e38, 3.4e38),
        "choice": Discrete(3),
        "choices": MultiDiscrete((2, 5)),
    }
    drawn = observations(Spec(Masked(space, MultiBinary(7)), MultiDiscrete((3, 4))), 500)
    assert drawn["obs.pixels"].dtype == np.uint8
    assert {0, 255} <= set(drawn["obs.pixels"].ravel().tolist())
    assert (np.abs(drawn["obs.bounded"]) <= [2, 2, 3]).all()
    assert np.abs(drawn["obs.limits"]).max() < 10  # no overflow: bounds that are a format's limits are none
    assert set(drawn["obs.choice"].tolist()) == {0, 1, 2}
    assert drawn["obs.choices"].max(0).tolist() == [1, 4]
    legal = drawn["legal"]
    assert legal[:, :3].any(1).all()
    assert legal[:, 3:].any(1).all()
    assert 0.3 < legal.mean() < 0.9
