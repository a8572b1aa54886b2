"""Logged steps from everywhere are the same steps, and what does not fit is named before any work starts."""

import gymnasium
import minari
import numpy as np
import pytest

import bellmax as bm
from bellmax.core import Spec
from bellmax.data import DataError, files, find
from bellmax.data.columns import columns_of
from bellmax.spaces import Box, Discrete, Masked, MultiBinary

SPEC = Spec(Box((2,)), Box((1,), -2.0, 2.0))


def columns(**changes):
    """Three episodes: 0 1 terminated, 2 3 4 cut, 5 6 both at once."""
    obs = np.arange(14, dtype=np.float64).reshape(7, 2)
    made = {
        "obs": obs,
        "action": np.linspace(-2, 2, 7)[:, None],
        "reward": np.arange(7.0),
        "terminated": np.isin(np.arange(7), (1, 6)),
        "truncated": np.isin(np.arange(7), (4, 6)),
        "next_obs": obs + 100,
    }
    return {name: x for name, x in (made | changes).items() if x is not None}


def test_terminations_and_time_limits_are_kept_apart():
    steps = find(columns(), SPEC).log.steps
    assert steps.last.tolist() == [False, True, False, False, True, False, True]
    assert steps.discount.tolist() == [1, 0, 1, 1, 1, 1, 0]
    assert steps.next_obs[:, 0].tolist() == [100, 102, 104, 106, 108, 110, 112]
    assert {x.dtype for x in (steps.obs, steps.action, steps.reward, steps.discount)} == {np.dtype("float32")}


def test_without_successors_the_steps_that_were_cut_are_left_out():
    steps = find(columns(next_obs=None), SPEC).log.steps
    assert steps.reward.tolist() == [0, 1, 2, 3, 5, 6], "behind step 4 nobody knows what there was"
    assert steps.last.tolist() == [False, True, False, True, False, True]
    assert steps.discount.tolist() == [1, 0, 1, 1, 1, 0]
    known = steps.discount == 1
    assert steps.next_obs[known, 0].tolist() == [2, 6, 8, 12]


def test_the_end_of_the_data_is_a_cut_and_no_termination():
    steps = find(columns(terminated=np.zeros(7), truncated=np.zeros(7)), SPEC).log.steps
    assert steps.last.tolist() == [False] * 6 + [True]
    assert (steps.discount == 1).all()
    assert len(find(columns(terminated=np.zeros(7), truncated=np.zeros(7), next_obs=None), SPEC).log.steps.last) == 6


def test_names_of_others_are_understood():
    theirs = {"observations": "obs", "actions": "action", "rewards": "reward", "terminals": "terminated"}
    theirs |= {"timeouts": "truncated", "next_observations": "next_obs"}
    got = find({name: columns()[ours] for name, ours in theirs.items()}, SPEC)
    assert got.checksum == find(columns(), SPEC).checksum


BAD = {
    "a nan": ({"reward": np.r_[np.arange(6.0), np.nan]}, "reward of step 6 is nan"),
    "a nan seen": ({"obs": np.full((7, 2), np.nan)}, "obs of step 0"),
    "no flags": ({"terminated": None}, "there is no 'terminated'"),
    "no cuts": ({"truncated": None}, "there is no 'truncated'"),
    "unclear ends": ({"terminated": None, "truncated": None, "dones": np.zeros(7)}, "'dones' does not say whether"),
    "a flag of 2": ({"terminated": np.arange(7)}, "terminated holds 2"),
    "lengths": ({"action": np.zeros((6, 1))}, r"action has the shape \(6, 1\)"),
    "fewer flags": ({"terminated": np.zeros(6), "truncated": np.zeros(6)}, "discount has 6 steps, reward 7"),
    "another environment": ({"obs": np.zeros((7, 3))}, r"environment's is \(2,\)"),
    "an action outside": (
        {"action": np.linspace(-2, 2.5, 7)[:, None]},
        r"action of step 6 is 2.5, outside of -2.* clip",
    ),
    "no rewards": ({"reward": None}, "there is no 'reward'"),
    "no observations": ({"obs": None}, "there is no 'obs'"),
    "nothing": ({name: np.zeros((0, 1)) for name in columns()}, "no steps"),
    "words": ({"obs": np.full((7, 2), "x")}, "obs holds <U1: give numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_named(name):
    changes, complaint = BAD[name]
    with pytest.raises(DataError, match=complaint):
        find(columns(**changes), SPEC)


def test_choices_are_whole_and_counted_from_0():
    spec = SPEC._replace(action=Discrete(3))
    steps = find(columns(action=np.arange(7.0) % 3), spec).log.steps
    assert steps.action.dtype == np.int32
    for action, complaint in ((np.arange(7) % 3 + 1, "outside of 0 .. 2"), (np.full(7, 0.5), "whole numbers")):
        with pytest.raises(DataError, match=complaint):
            find(columns(action=action), spec)


def test_trees_and_masks_have_a_column_a_part(tmp_path):
    spec = Spec(Masked({"a": Box((2,)), "b": Discrete(4)}, MultiBinary(3)), Discrete(3))
    seen = {"obs/a": np.ones((7, 2)), "obs/b": np.arange(7) % 4}
    seen = {f"obs/{name}": x for name, x in seen.items()} | {"obs/legal": np.ones((7, 3), bool)}
    given = columns(action=np.arange(7) % 3, obs=None, next_obs=None) | seen
    found = find(given, spec)
    assert found.log.steps.obs.obs["b"].tolist() == [0, 1, 2, 3, 1, 2]
    assert found.log.steps.obs.legal.dtype == bool
    for suffix in files.SUFFIXES:
        files.write(tmp_path / f"x{suffix}", columns_of(found.log.steps, spec))
        assert find(tmp_path / f"x{suffix}", spec).checksum == found.checksum
    with pytest.raises(DataError, match="there is no 'obs/legal'"):
        find({name: x for name, x in given.items() if name != "obs/legal"}, spec)


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_files_come_back_bit_for_bit_and_broken_ones_are_refused(suffix, tmp_path):
    path, found = tmp_path / f"data{suffix}", find(columns(), SPEC)
    files.write(path, columns_of(found.log.steps, SPEC))
    again = find(str(path), SPEC)
    assert (again.checksum, again.source) == (found.checksum, str(path))
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "nothing is left behind"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be read"):
        find(path, SPEC)


def test_a_checksum_that_is_another_is_refused():
    found = find(columns(), SPEC)
    assert find(columns(), SPEC, found.checksum).checksum == found.checksum
    with pytest.raises(DataError, match="not those that the run began with"):
        find(columns(reward=np.ones(7)), SPEC, found.checksum)


def test_parquet_of_strangers_has_lists(tmp_path):
    import pyarrow
    from pyarrow import parquet

    table = {name: x.tolist() for name, x in columns().items()}
    parquet.write_table(pyarrow.table(table), tmp_path / "x.parquet")
    assert find(tmp_path / "x.parquet", SPEC).checksum == find(columns(), SPEC).checksum
    table["reward"][3] = None
    parquet.write_table(pyarrow.table(table), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="'reward' has 1 gaps"):
        find(tmp_path / "x.parquet", SPEC)


def test_what_is_no_data_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    for what, complaint in {"x.csv": "does not end in .npz or .parquet", "x.npz": "no such file"}.items():
        with pytest.raises(DataError, match=complaint):
            find(tmp_path / what, SPEC)
    with pytest.raises(DataError, match="neither the folder of a run nor of a Minari data set"):
        find(tmp_path / "folder", SPEC)
    with pytest.raises(TypeError, match="data = int"):
        find(3, SPEC)


class Counter(gymnasium.Env):
    """Counts up; terminates at 3 where the first action is 1, else it is cut at 5."""

    observation_space, action_space = gymnasium.spaces.Box(0, 10, (1,), np.float32), gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.goal = 0, None
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.time += 1
        self.goal = self.goal or (3 if action == 1 else None)
        terminated = self.time == self.goal
        return np.full(1, self.time, np.float32), 1.0, terminated, self.time == 5 and not terminated, {}


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A Minari data set with an episode that terminates, one that is cut, and one that is broken off."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = minari.DataCollector(Counter(), data_format="arrow")
    for first, length in ((1, 3), (0, 5), (0, 2)):
        env.reset(seed=0)
        for step in range(length):
            env.step(first if step == 0 else 0)
    env.reset()
    env.create_dataset("made/counter-v0", eval_env=None)
    return tmp_path / "made" / "counter-v0"


def test_minari_is_read_by_its_name_its_folder_or_as_it_is(recorded):
    spec = Spec(Box((1,), 0.0, 10.0), Discrete(2))
    found = find("minari:made/counter-v0", spec)
    steps = found.log.steps
    assert steps.obs[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 0, 1]
    assert steps.next_obs[:, 0].tolist() == [1, 2, 3, 1, 2, 3, 4, 5, 1, 2], "Minari keeps the last one of an episode"
    assert np.flatnonzero(steps.last).tolist() == [2, 7, 9]
    assert np.flatnonzero(steps.discount == 0).tolist() == [2]
    assert steps.action.tolist() == [1, *[0] * 9]
    assert find(recorded, spec).checksum == found.checksum
    assert find(minari.load_dataset("made/counter-v0"), spec).checksum == found.checksum
    with pytest.raises(DataError, match="minari download made/other-v0"):
        find("minari:made/other-v0", spec)


def test_a_run_gives_what_it_has_stored(tmp_path):
    quiet = {"display": "quiet", "track": (), "run_folder": tmp_path}
    table = bm.QLearning(experience=bm.Replay(100, batch=4, start=4))  # holds the newest 100 of 300 steps
    run = bm.train(table, "bellmax:RandomWalk", steps=300, num_envs=2, name="run", **quiet)
    spec = Spec(run.spec.obs, run.spec.action)
    steps, ring = find(tmp_path / "run", spec).log.steps, run.tree.buffer.steps
    assert len(steps.reward) == 100
    order = np.arange(100, 150) % 50  # 150 rows were written to 50
    assert steps.obs.tolist() == [*ring.obs[0, order, 0].tolist(), *ring.obs[0, order, 1].tolist()]
    assert steps.last[49]
    assert steps.last[99]
    inside = ~steps.last[:-1]
    assert (steps.next_obs[:-1][inside] == steps.obs[1:][inside]).all(), "what follows is the next step"
