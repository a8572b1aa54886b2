"""Logged steps in the replay buffer, then steps of its own: at the front door, in both drivers, stopped and gone on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.cli.request import understand
from bellmax.data import DataError, find
from bellmax.envs.grid_world import GridWorld
from bellmax.plan import Plan
from bellmax.starting import begin
from tests.front.test_front_door import same

QUIET = {"display": "quiet", "track": ()}
NONE = {**QUIET, "run_folder": None}


class Count(NamedTuple):
    """What the only state there is knows."""

    clock: jax.Array


class Whose(bm.core.Algorithm):
    """Learns nothing, and says which share of its batches others have paid: they paid -1, CartPole pays 1."""

    experience: bm.Replay = bm.Replay(60, batch=4096, start=45)

    def init(self, key, spec):
        return Count(jnp.zeros(()))

    def act(self, state, obs, key, memory=None):
        return bm.core.Decision(jax.random.randint(key, (), 0, 2))

    def update(self, state, batch, key):
        clock = batch.extras["steps"].max()
        return Count(clock), {"logged": (batch.reward == -1).mean(), "clock": clock}


def paid(count):
    """Steps of CartPole that others took."""
    flags = {"terminated": np.arange(count) % 7 == 6, "truncated": np.zeros(count)}
    seen = {"obs": np.full((count, 4), 0.01), "next_obs": np.full((count, 4), 0.02)}
    return seen | flags | {"action": np.arange(count) % 2, "reward": np.full(count, -1.0)}


@pytest.mark.parametrize("env", ["bellmax:CartPole", "CartPole-v1"])
def test_the_first_batches_are_of_logged_steps_and_later_ones_of_its_own(env):
    """By hand: 40 logged and k own of which the newest 60 are kept, so that min(40, 60 - k) of them are logged.

    45 are to be there before it learns: it waits for 5 of its own.
    """
    run = bm.train(Whose(), env, data=paid(40), steps=70, log_every=1, **NONE)
    assert run.config["driver"] == ("hosted" if "v1" in env else "ingraph")
    assert run.config["data"]["steps"] == 40
    learned = {row["step"]: row for row in run.metrics if row.get("logged") is not None}
    assert list(learned) == list(range(5, 71))
    for own, share in ((5, 40 / 45), (20, 40 / 60), (40, 20 / 60), (50, 10 / 60), (60, 0), (70, 0)):
        assert learned[own]["logged"] == pytest.approx(share, abs=0.04), own
        assert learned[own]["clock"] == own, "schedules count its own steps alone"


def snake(size):
    """The way through every cell of the open square that visits row after row."""
    cells = np.arange(size * size).reshape(size, size)
    cells[1::2] = cells[1::2, ::-1].copy()
    here, there = cells.ravel()[:-1], cells.ravel()[1:]
    action = np.select([there - here == -1, there - here == size, there - here == 1], [0, 1, 2])
    over, nobody = there == size * size - 1, np.zeros(len(here))
    step = {"obs": here, "next_obs": there, "action": action, "reward": np.where(over, 1.0, -0.01)}
    return step | {"terminated": over, "truncated": nobody}


ROOM = GridWorld(size=9, step_reward=-0.01, max_steps=150)
TABLE = bm.QLearning(learning_rate=0.5, initial=-1.0, exploration=bm.EpsilonGreedy(0.3))
OFFLINE = TABLE.replace(experience=bm.Dataset(batch=16))
ONLINE = TABLE.replace(experience=bm.Replay(4000, batch=16, start=1))


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """A file with the long way to the goal, and a run that has learned it from there."""
    folder = tmp_path_factory.mktemp("runs")
    np.savez(folder / "snake.npz", **snake(9))
    run = bm.train(OFFLINE, ROOM, data=folder / "snake.npz", steps=500, seeds=3, evaluate_every=0, run_folder=folder,
                   name="offline", **QUIET)  # fmt: skip
    return folder / "snake.npz", run


def scores(run):
    return [run.evaluate(5, seed=index).mean for index in range(3)]


def test_both_together_are_better_than_either_alone(offline):
    """1 - 0.79 on the way that was logged, 1 - 0.15 on the shortest; from nothing 300 steps do not find the goal."""
    file, run = offline
    both = bm.train(ONLINE, ROOM, data=file, start_from=run, steps=300, seeds=3, **NONE)
    alone = bm.train(ONLINE, ROOM, steps=300, seeds=3, **NONE)
    assert max(scores(run)) < 0.35, "the control that only learns from logged steps"
    assert min(scores(both)) > 0.6
    assert max(scores(alone)) < 0, "the control that has only its own"


def test_it_begins_with_the_weights_and_the_steps_and_goes_on_bit_for_bit_without_the_file(offline, tmp_path):
    file, run = offline
    options = {"start_from": run, "num_envs": 2, "seeds": 2, "run_folder": tmp_path, "checkpoint_every": 100, **QUIET}
    moved = tmp_path / "moved.npz"
    moved.write_bytes(file.read_bytes())
    whole = bm.train(ONLINE, ROOM, data=moved, steps=200, name="whole", **options)
    first = bm.load(tmp_path / "whole", checkpoint=min((tmp_path / "whole" / "checkpoints").iterdir()))
    for seed in (0, 1):
        assert same(first.state_of(seed).q, run.state_of(seed).q), "the weights"
        kept = first.tree.buffer.steps.obs[seed, :40]
        assert np.array_equal(kept.T.ravel(), snake(9)["obs"]), "80 steps: 40 of each environment"
    control = bm.train(ONLINE, ROOM, steps=200, name="control", **options)
    assert not same(control.tree.state, whole.tree.state)
    bm.train(ONLINE, ROOM, data=moved, steps=100, name="half", **options)
    moved.unlink()
    assert same(bm.resume(tmp_path / "half", steps=200, display="quiet").tree, whole.tree)
    assert same(bm.load(tmp_path / "half").tree, whole.tree)


def test_a_run_that_was_killed_before_it_saved_begins_with_the_steps_again(offline, tmp_path):
    run = bm.train(ONLINE, ROOM, data=offline[0], steps=20, run_folder=tmp_path, name="run", **QUIET)
    wipe = lambda: [path.unlink() for path in (tmp_path / "run" / "checkpoints").iterdir()]
    wipe()
    assert same(bm.resume(tmp_path / "run", display="quiet").tree, run.tree)
    wipe()
    with pytest.raises(DataError, match="not those that the run began with"):
        bm.resume(tmp_path / "run", data=snake(9) | {"reward": np.zeros(80)}, display="quiet")
    assert same(bm.resume(tmp_path / "run", data=snake(9), display="quiet").tree, run.tree)


@pytest.mark.parametrize(
    ("algorithm", "options", "said"),
    [
        (ONLINE.replace(experience=bm.Replay(79)), {}, "80 logged steps do not fit into .*capacity = 79; .*least 80"),
        (bm.PPO(), {}, "data: ppo learns from Steps, steps of its own; .*bellmax.Replay"),
        (bm.R2D2(hidden=(8,), memory_size=8), {}, r"R2D2 keeps with every step .*\(memory\), which"),
        (ONLINE, {"data": snake(9) | {"obs": np.zeros((80, 3))}}, "is it data of another environment"),
        (ONLINE, {"env": "CliffWalking-v1", "seeds": 2}, "seeds on the host are processes, and need a file"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_before_there_is_a_folder(algorithm, options, said, tmp_path):
    options = {"env": ROOM, "data": snake(9)} | options
    if options["env"] != ROOM:
        options["data"] = {name: x[:40] for name, x in options["data"].items()}
    with pytest.raises(ValueError, match=said):
        bm.train(algorithm, steps=10, run_folder=tmp_path / "runs", **QUIET, **options)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("capacity", "over"), [(110, ""), (109, "; behind 29 steps of its own the run overwrites")])
def test_what_will_be_overwritten_is_said(capacity, over):
    class Made:
        spec = bm.Spec(ROOM.spec.obs, ROOM.spec.action)
        begin_as = staticmethod(lambda change: None)

    data, said = find(snake(9), Made.spec), []
    small = ONLINE.replace(experience=bm.Replay(capacity))
    begin(Plan(small, ROOM, 30, 1, (0,), 1, 1, data=data), Made, said.append)
    assert said[0].startswith("the replay buffer begins with 80 steps in 1 episodes")
    assert over in said[0]
    assert ("overwrites" in said[0]) == bool(over)


def test_the_command_line_says_the_same(offline):
    words = ["sac", "Pendulum-v1", "--data", str(offline[0]), "--experience.symmetric"]
    said = understand(words, "train").arguments
    assert said["data"] == str(offline[0])
    assert said["hyperparameters"]["experience"].symmetric
