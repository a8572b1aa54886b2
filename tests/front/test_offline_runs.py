"""Logged steps at the front door: collected from a run, learned from, gone on with bit for bit, evaluated."""

import jax
import numpy as np
import pytest

import bellmax as bm
from bellmax.cli import collect as command
from bellmax.data import DataError
from tests.front.test_front_door import same

QUIET = {"display": "quiet", "track": ()}
TABLE = bm.QLearning(experience=bm.Dataset(batch=8))
LAKE = "bellmax:FrozenLake"


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A run on the lake that hardly learned, and what it collected: the folder, the file."""
    folder = tmp_path_factory.mktemp("runs")
    bm.train("q-learning", LAKE, steps=100, seeds=2, run_folder=folder, name="run", **QUIET)
    file = folder / "data.npz"
    command.main([str(folder / "run"), "--output", str(file), "--steps", "3000", "--epsilon", "1"])
    return folder / "run", file


def offline(played, **options):
    return bm.train(TABLE, LAKE, data=played[1], **{"steps": 400, "evaluation_episodes": 4, **QUIET} | options)


def test_what_is_collected_is_what_happened(played):
    folder, file = played
    with np.load(file) as data:
        assert set(data.files) == {"obs", "action", "reward", "terminated", "truncated", "next_obs"}
        assert len(data["obs"]) == 3000
        ended = data["terminated"] | data["truncated"]
        assert (data["next_obs"][:-1] == data["obs"][1:])[~ended[:-1]].all(), "steps follow each other"
        assert (data["next_obs"][data["reward"] == 1] == 15).all(), "the goal pays"
        assert data["terminated"][data["reward"] == 1].all()
        share = np.bincount(data["action"]) / 3000
        assert (np.abs(share - 0.25) < 0.04).all(), "anything at all, each alike likely"
    greedy = bm.collect(folder, 200, greedy=True, num_envs=2)
    state = bm.load(folder).state_of(0)
    best = np.asarray(jax.tree.leaves(state)[0]).argmax(-1)
    steps = greedy.log.steps
    sure = np.sort(np.asarray(jax.tree.leaves(state)[0]), -1)
    sure = sure[:, -1] > sure[:, -2]
    assert (steps.action == best[steps.obs])[sure[steps.obs]].all()
    again = bm.collect(folder, 200, greedy=True, num_envs=2)
    assert (again.checksum, again.steps) == (greedy.checksum, 200)
    assert bm.collect(folder, 200, greedy=True, num_envs=2, seed=1).checksum != greedy.checksum


def test_what_cannot_be_collected_is_said_first(played):
    for options, complaint in (
        ({"steps": 0}, "steps = 0"),
        ({"policy": 2}, "policy = 2: the run has 2 seeds"),
        ({"output": "x.csv"}, "give a name that ends in .npz or .parquet"),
        ({"epsilon": 2.0}, "epsilon = 2.0"),
    ):
        with pytest.raises(ValueError, match=complaint):
            bm.collect(played[0], **options)


def test_a_run_learns_from_the_file_and_goes_on_bit_for_bit(played, tmp_path):
    run = offline(played, seeds=2, run_folder=tmp_path, name="whole")
    assert run.config["driver"] == "offline"
    assert run.config["data"]["steps"] == 3000
    assert [row["step"] for row in run.evaluations if row["seed"] == 1] == list(range(40, 401, 40)), (
        "a tenth of the run"
    )
    assert run.scores[0, -1] == run.evaluations[-2]["mean"], "scores are those of the evaluations"
    offline(played, seeds=2, run_folder=tmp_path, name="half", steps=200)
    again = bm.resume(tmp_path / "half", steps=400, display="quiet")
    assert same(again.tree, run.tree)
    loaded = bm.load(tmp_path / "whole")
    assert same(loaded.tree, run.tree)
    assert loaded.evaluate(4).scores.tolist() == run.evaluate(4).scores.tolist()
    values = np.asarray(jax.tree.leaves(run.state_of(0))[0])
    assert values.max() > 0, "it has heard of the goal"


def test_a_run_goes_on_only_with_what_it_began_with(played, tmp_path):
    offline(played, run_folder=tmp_path, name="run", steps=50)
    with pytest.raises(DataError, match="not those that the run began with"):
        bm.resume(tmp_path / "run", steps=60, data=bm.collect(played[0], 50), display="quiet")
    moved = tmp_path / "moved.npz"
    moved.write_bytes(played[1].read_bytes())
    assert bm.resume(tmp_path / "run", steps=60, data=moved, display="quiet").meta["taken"] == [60]
    with np.load(played[1]) as data:
        arrays = dict(data)
    bm.train(TABLE, LAKE, data=arrays, steps=50, run_folder=tmp_path, name="arrays", **QUIET)
    with pytest.raises(ValueError, match="arrays of a program's own: pass them"):
        bm.resume(tmp_path / "arrays", steps=60, display="quiet")


def test_food_that_does_not_fit_is_named_before_there_is_a_folder(played, tmp_path):
    for algorithm, options, complaint in (
        ("q-learning", {"data": played[1]}, "q-learning learns from Steps, steps of its own; .* experience="),
        (TABLE, {}, "there are none; pass data="),
        (TABLE, {"data": "nowhere.npz"}, "there is no such file"),
        (TABLE, {"data": played[0]}, "q-learning stores no steps; write some with: bellmax collect"),
    ):
        with pytest.raises(ValueError, match=complaint):
            bm.train(algorithm, LAKE, steps=10, run_folder=tmp_path, **QUIET, **options)
    with pytest.raises(DataError, match="is it data of another environment"):
        bm.train(TABLE, "bellmax:CartPole", data=played[1], steps=10, run_folder=tmp_path, **QUIET)
    assert list(tmp_path.iterdir()) == []


def test_on_the_host_the_same_is_written_and_evaluated(tmp_path):
    run = bm.train("q-learning", "CliffWalking-v1", steps=50, run_folder=None, **QUIET)
    found = bm.collect(run, 300, tmp_path / "x.parquet", epsilon=1.0, num_envs=2)
    steps = found.log.steps
    assert found.steps == 300
    follows = ~steps.last[:-1]
    assert (steps.next_obs[:-1][follows] == steps.obs[1:][follows]).all()
    assert np.bincount(steps.action, minlength=4).min() > 40
    learned = bm.train(TABLE, "CliffWalking-v1", data=tmp_path / "x.parquet", steps=100, run_folder=None,
                       evaluate_every=0, **QUIET)  # fmt: skip
    assert learned.config["driver"] == "offline"
    assert learned.evaluations == []
    values = np.asarray(jax.tree.leaves(learned.state_of(0))[0])
    assert (values <= 0).all()
    assert values.min() < -1, "every step costs"
