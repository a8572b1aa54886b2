"""Beginning with another run's weights, and layers that do not move."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.algorithms.wrappers.partly_frozen import path_name
from bellmax.envs import CartPole
from tests.front.test_front_door import QUIET, same

PPO = bm.PPO(experience=bm.Steps(16), hidden=(8,), epochs=1, minibatches=1)
SPEC = bm.Spec(bm.Box((4,)), bm.Discrete(2), 8)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two seeds of a policy that has learned something."""
    return bm.train(PPO, CartPole(), steps=320, num_envs=2, seeds=2, run_folder=tmp_path_factory.mktemp("a"), **QUIET)


def leaves(state):
    return {path_name(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(state)}


def moved(before, after, part):
    """Which arrays in `part` are no longer what they were."""
    return {name for name, x in leaves(before).items() if part in name and not np.array_equal(x, leaves(after)[name])}


def begun(run):
    """The state in the first checkpoint: what the run began with."""
    first = run.folder.path / "checkpoints" / "step-000000000000.safetensors"
    return bm.load(run.folder.path, checkpoint=first)


def test_a_run_begins_with_what_the_other_has_learned(source, tmp_path):
    run = bm.train(PPO, CartPole(), start_from=source, steps=32, num_envs=4, seeds=3, run_folder=tmp_path, **QUIET)
    for index, theirs in enumerate((0, 1, 0)):  # seed 2 is new: it takes after the first
        now, before = begun(run).state_of(index), source.state_of(theirs)
        assert same(now.network, before.network)
        assert float(now.steps) == 0 < float(before.steps), "schedules begin anew"
        assert not any(np.any(x) for x in jax.tree.leaves(now.opt_state)), "and so does the optimiser"
    assert moved(begun(run).state_of(0), run.state_of(0), "network")
    alone = bm.train(PPO, CartPole(), steps=32, num_envs=4, run_folder=tmp_path, **QUIET)
    assert not same(begun(alone).state_of(0).network, source.state_of(0).network), "the control begins elsewhere"


@pytest.mark.parametrize("env", ["bellmax:CartPole", "CartPole-v1"])
def test_frozen_layers_stay_bit_for_bit_while_the_others_move(source, env, tmp_path):
    where = source.folder.path / "checkpoints"
    options = {"steps": 160, "num_envs": 2, "run_folder": tmp_path, **QUIET}
    start = max(where.iterdir())
    run = bm.train(PPO, env, start_from=start, frozen=("torsos.0", "head"), **options)
    before, after = source.state_of(0), run.state_of(0)
    assert not moved(before, after, "network.torsos.0")
    assert not moved(before, after, "network.head")
    assert len(moved(before, after, "network.torsos.1")) == 2
    assert len(moved(before, after, "network.value_head")) == 2
    control = bm.train(PPO, env, start_from=start, **options).state_of(0)
    assert len(moved(before, control, "network.torsos.0")) == len(moved(before, control, "network.head")) == 2
    told = json.loads((run.folder.path / "config.json").read_text())
    assert told["start_from"] == {"run": str(source.folder.path.resolve()), "checkpoint": start.name}
    assert told["algorithm"]["parts"] == ["torsos.0", "head"]


def test_targets_and_what_is_observed_are_frozen_too():
    inner = bm.Normalised(bm.DQN(hidden=(8,), experience=bm.Replay(64, batch=8, start=8), target_every=1))
    before = inner.init(jax.random.key(0), SPEC)
    obs, ones = jax.random.normal(jax.random.key(1), (8, 4)), jnp.ones(8)
    fresh = bm.Transition(obs, jnp.ones(8, int), ones, ones, ones > 2, -obs, {"steps": ones}, ones)
    fresh = jax.tree.map(lambda x: x[None], fresh)

    def moves(parts):
        algorithm = bm.PartlyFrozen(inner, parts)
        state = jax.jit(algorithm.observe)(before, fresh)
        state = jax.jit(algorithm.update)(state, fresh, jax.random.key(2))[0]
        return [
            bool(moved(before, state, part))
            for part in ("network.torso", "target.torso", "network.advantage", "moments")
        ]

    assert moves(()) == [True, True, True, True]
    assert moves(("torso", "moments")) == [False, False, True, False]


def test_what_all_stands_still_plays_as_it_did(source):
    run = bm.train(
        PPO, CartPole(), start_from=source, frozen=("network",), steps=64, num_envs=2, run_folder=None, **QUIET
    )
    assert np.array_equal(run.evaluate(5).scores, source.evaluate(5, seed=0).scores)


def test_it_goes_on_bit_for_bit(source, tmp_path):
    options = {"start_from": source.folder.path, "frozen": ("torsos",), "num_envs": 2, **QUIET}
    whole = bm.train(PPO, CartPole(), steps=192, run_folder=None, **options)
    part = bm.train(PPO, CartPole(), steps=96, run_folder=tmp_path, **options)
    assert same(bm.resume(part.folder.path, steps=192, display="quiet").tree, whole.tree)


def test_a_run_that_was_killed_before_it_saved_begins_with_the_weights_again(source, tmp_path):
    options = {"start_from": source.folder.path, "steps": 32, "num_envs": 2, **QUIET}
    run = bm.train(PPO, CartPole(), run_folder=tmp_path, **options)
    for path in (run.folder.path / "checkpoints").iterdir():
        path.unlink()
    assert same(bm.resume(run.folder.path, display="quiet").tree, run.tree)


@pytest.mark.parametrize(
    ("algorithm", "env", "said"),
    [
        (
            PPO.replace(hidden=(9,)),
            "bellmax:CartPole",
            "torsos.0.mlp.layers.0.weight is .*4, 8. there and .*4, 9",
        ),
        (
            PPO,
            "bellmax:MountainCar",
            "mlp.layers.0.weight is float32.4, 8. there and float32.2, 8. here",
        ),
        (PPO.replace(hidden=(8, 8)), "bellmax:CartPole", "layers.1.weight is missing there"),
        (bm.Normalised(PPO), "bellmax:CartPole", r"trained with PPO, and this is Normalised\(PPO\)"),
        (bm.A2C(hidden=(8,)), "bellmax:CartPole", "trained with PPO, and this is A2C"),
    ],
)
def test_what_does_not_fit_is_named_before_there_is_a_folder(source, algorithm, env, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        bm.train(algorithm, env, start_from=source, run_folder=tmp_path / "runs", **QUIET)
    assert not (tmp_path / "runs").exists()


def test_processes_need_a_folder_to_start_from():
    run = bm.train(PPO, CartPole(), steps=32, num_envs=2, run_folder=None, **QUIET)
    with pytest.raises(ValueError, match="seeds on the host are processes, and need a folder"):
        bm.train(PPO, "CartPole-v1", start_from=run, seeds=2, **QUIET)


def test_a_part_that_there_is_not_lists_those_that_there_are(tmp_path):
    with pytest.raises(
        ValueError, match=r"'torso'.*did you mean 'torsos'\? There are network, torsos, mlp, .*value_head"
    ):
        bm.train(PPO, "bellmax:CartPole", frozen=("torso",), run_folder=tmp_path / "runs", **QUIET)
    assert not (tmp_path / "runs").exists()
    with pytest.raises(TypeError, match=r"give a tuple of names, as in \('torsos',\)"):
        bm.train(PPO, "bellmax:CartPole", frozen="torsos", run_folder=None, **QUIET)


def test_the_command_line_says_the_same(source):
    from bellmax.cli.request import understand

    words = ["ppo", "bellmax:CartPole", "--start-from", str(source.folder.path), "--frozen", "torsos"]
    said = understand(words, "train").arguments
    assert said["start_from"] == str(source.folder.path)
    assert said["frozen"] == ("torsos",)


class Picky(bm.core.Algorithm):
    """Takes two choices and no others, and says so when it begins."""

    experience: bm.Replay = bm.Replay(100, batch=4, start=4)

    def init(self, key, spec):
        if spec.action.n != 2:
            raise ValueError(f"Picky: there are {spec.action.n} choices; give an environment with 2.")
        return jnp.zeros(())

    def act(self, state, obs, key, memory=None):
        return bm.core.Decision(jnp.int32(0))

    def update(self, state, batch, key):
        return state + 1, {}


REFUSED = {
    "the action space": (Picky(), {}, "there are 3 choices; give an environment with 2"),
    "what it eats": (bm.DQN(experience=bm.Replay(3)), {"num_envs": 4}, "Replay.capacity = 3: 4 environments"),
    "its own action space": ("mbpo", {}, "needs a one-axis Box with finite bounds"),
    "logged steps": (Picky(experience=bm.Dataset()), {"data": "acrobot"}, "there are 3 choices"),
}


@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.parametrize("env", ["bellmax:Acrobot", "Acrobot-v1"])
def test_a_refused_run_leaves_nothing_behind(why, env, tmp_path):
    algorithm, options, said = REFUSED[why]
    if "data" in options:
        flags = {"reward": np.zeros(3), "terminated": np.zeros(3), "truncated": np.zeros(3)}
        options = {"data": {"obs": np.zeros((3, 6)), "action": np.zeros(3)} | flags}
    with pytest.raises(ValueError, match=said):
        bm.train(algorithm, env, steps=10, run_folder=tmp_path / "runs", **options, **QUIET)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("env", ["bellmax:CartPole", "CartPole-v1"])
def test_the_control_is_not_refused(env, tmp_path):
    assert bm.train(Picky(), env, steps=10, run_folder=tmp_path / "runs", **QUIET).meta["taken"] == [10]
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_vector_environment_that_was_made_is_looked_at_as_it_is(tmp_path):
    import gymnasium

    made = gymnasium.make_vec("Acrobot-v1", num_envs=3, vectorization_mode="sync")
    with pytest.raises(ValueError, match="there are 3 choices"):
        bm.train(Picky(), made, steps=10, num_envs=3, run_folder=tmp_path / "runs", **QUIET)
    with pytest.raises(ValueError, match="holds 3 environments: num_envs = 2 is not"):
        bm.train(Picky(), made, steps=10, num_envs=2, run_folder=tmp_path / "runs", **QUIET)
    assert not (tmp_path / "runs").exists()
    assert made.reset()[0].shape == (3, 6), "it is still open"
