"""train, resume, load, sweep: what a user sees of them."""

import signal
import subprocess
import sys
import time

import gymnasium
import jax
import numpy as np
import pytest

import bellmax as bm
from bellmax.envs.adaptors.gymnasium import EnvironmentFailed
from bellmax.envs.names import UnknownEnvironment
from bellmax.runs import DamagedCheckpoint, RunFolder, RunFolderError
from bellmax.session import Diverged

PPO = bm.PPO(experience=bm.Steps(16), hidden=(8,), epochs=1, minibatches=1)
QUIET = {"display": "quiet", "track": ()}


class Bandit(gymnasium.Env):
    """Action 1 pays 1, action 0 nothing; an episode is 4 steps. `spoil` says what goes wrong in which step."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, spoil=None, after=200):
        self.spoil, self.after, self.count, self.time = spoil, after, 0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.count += 1
        self.time += 1
        reward = float(action)
        if self.count > self.after:
            if self.spoil == "raise":
                raise RuntimeError("the robot fell over")
            if self.spoil == "nan":
                reward = float("nan")
        return np.zeros(1, np.float32), reward, self.time == 4, False, {}


def arrays(tree):
    leaves = jax.tree.leaves(tree)
    return [jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in leaves]


def same(one, other):
    return all(np.array_equal(x, y) for x, y in zip(arrays(one), arrays(other), strict=True))


@pytest.mark.parametrize("env", ["bellmax:CartPole", "CartPole-v1"])
def test_a_run_comes_back_from_its_folder_as_it_was(env, tmp_path):
    run = bm.train(PPO, env, steps=2000, num_envs=2, run_folder=tmp_path, evaluate_every=1000, **QUIET)
    again = bm.load(run.folder.path)
    assert same(run.tree, again.tree)
    assert np.array_equal(run.scores, again.scores, equal_nan=True)
    assert again.algorithm == run.algorithm
    assert again.spec == run.spec
    obs = np.array([0.01, -0.2, 0.03, 0.1], np.float32)
    assert run.policy(obs) == again.policy(obs)
    assert np.array_equal(run.evaluate(4).scores, again.evaluate(4).scores)
    assert [row["step"] for row in again.evaluations] == [row["step"] for row in run.evaluations]
    assert len(run.evaluations) == 2
    elsewhere = run.save(tmp_path / "copy")
    assert same(run.tree, bm.load(elsewhere).tree)


def test_a_run_in_two_sittings_is_one_run(tmp_path):
    whole = bm.train(PPO, "bellmax:CartPole", steps=4000, num_envs=2, seeds=2, run_folder=None, **QUIET)
    half = bm.train(PPO, "bellmax:CartPole", steps=2000, num_envs=2, seeds=2, run_folder=tmp_path, **QUIET)
    both = bm.resume(half.folder.path, steps=4000, display="quiet")
    assert same(whole.tree, both.tree)
    assert both.timing["steps"] == whole.timing["steps"] >= 8000


def test_many_seeds_are_the_seeds_one_by_one(tmp_path):
    together = bm.train(PPO, "bellmax:CartPole", steps=1500, num_envs=2, seeds=[4, 9, 2], run_folder=None, **QUIET)
    for index, seed in enumerate([4, 9, 2]):
        alone = bm.train(PPO, "bellmax:CartPole", steps=1500, num_envs=2, seeds=[seed], run_folder=None, **QUIET)
        assert same(alone.state_of(0), together.state_of(index))


def test_hosted_seeds_in_processes_are_the_seeds_one_by_one(tmp_path):
    together = bm.train(PPO, Bandit, steps=1500, num_envs=2, seeds=[4, 9], run_folder=tmp_path, **QUIET)
    assert {row["seed"] for row in together.metrics} == {4, 9}
    for index, seed in enumerate([4, 9]):
        alone = bm.train(PPO, Bandit, steps=1500, num_envs=2, seeds=[seed], run_folder=None, **QUIET)
        for x, y in zip(arrays(alone.state_of(0)), arrays(together.state_of(index)), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-4)  # another process may compile another order of sums
    further = bm.resume(together.folder.path, steps=3000, env=Bandit, display="quiet")
    assert further.timing["steps"] >= 6000


def test_a_failing_seed_is_reported_with_its_traceback(tmp_path):
    with pytest.raises(RuntimeError, match="the robot fell over"):
        bm.train(PPO, lambda: Bandit("raise"), steps=1500, num_envs=1, seeds=2, run_folder=tmp_path, **QUIET)


def test_an_environment_that_raises_leaves_a_run_that_goes_on(tmp_path):
    with pytest.raises(EnvironmentFailed, match="the robot fell over") as caught:
        bm.train(PPO, lambda: Bandit("raise"), steps=1000, num_envs=2, run_folder=tmp_path, name="x", **QUIET)
    assert isinstance(caught.value.__cause__, RuntimeError)
    folder = RunFolder.open(tmp_path / "x")
    assert folder.status == "failed"
    saved = bm.load(folder.path, env=Bandit).meta["taken"][0]
    assert 200 <= saved < 400, "the rounds that were completed are kept"
    assert bm.resume(folder.path, env=Bandit, display="quiet").meta["taken"][0] >= 1000


def test_a_nan_stops_the_run_and_is_put_on_record(tmp_path):
    with pytest.raises(Diverged, match="reward of the batch became NaN") as caught:
        bm.train(PPO, lambda: Bandit("nan"), steps=1000, num_envs=2, run_folder=tmp_path, name="x", **QUIET)
    assert str(tmp_path / "x" / "failure") in str(caught.value)
    from safetensors.numpy import load_file

    batch = load_file(tmp_path / "x" / "failure" / "batch.safetensors")
    assert sum(np.isnan(value).any() for value in batch.values()) == 1
    run = bm.load(tmp_path / "x", env=Bandit)
    assert all(np.isfinite(x).all() for x in arrays(run.state))
    assert bm.resume(tmp_path / "x", env=Bandit, display="quiet").meta["taken"][0] >= 1000


def test_in_the_graph_a_nan_stops_the_run_too(tmp_path):
    wild = PPO.replace(learning_rate=1e30)
    with pytest.raises(Diverged, match="became NaN or infinite after step"):
        bm.train(wild, "bellmax:CartPole", steps=100_000, num_envs=2, run_folder=tmp_path, name="x", **QUIET)
    assert (tmp_path / "x" / "failure" / "report.json").exists()


def test_a_damaged_checkpoint_is_refused_and_the_one_before_serves(tmp_path):
    options = {"steps": 2000, "num_envs": 2, "checkpoint_every": 500, "run_folder": tmp_path, "name": "x"}
    bm.train(PPO, "bellmax:CartPole", **options, **QUIET)
    *_, before, latest = RunFolder.open(tmp_path / "x").checkpoints.list()
    data = bytearray(latest.read_bytes())
    data[-5] ^= 1
    latest.write_bytes(data)
    with pytest.raises(DamagedCheckpoint, match=before.name):
        bm.load(tmp_path / "x")
    assert bm.load(tmp_path / "x", checkpoint=before).meta["taken"][0] < 2000


def test_a_sweep_compiles_once(tmp_path):
    from bellmax.drivers import ingraph

    options = {"steps": 500, "num_envs": 2, "run_folder": None} | QUIET
    bm.train(PPO, "bellmax:CartPole", **options)
    before = ingraph.advance._cache_size()
    runs = bm.sweep(PPO, "bellmax:CartPole", {"learning_rate": [1e-4, 1e-2], "gamma": [0.9, 1]}, **options)
    assert ingraph.advance._cache_size() == before
    assert [(r.algorithm.learning_rate, r.algorithm.gamma) for r in runs][1:3] == [(1e-4, 1.0), (1e-2, 0.9)]
    assert not same(runs[0].state, runs[2].state)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"env": "CartPole-v9"}, UnknownEnvironment, "CartPole-v1"),
        ({"algorithm": "pppo"}, ValueError, "ppo"),
        ({"steps": -5}, ValueError, r"steps = -5"),
        ({"num_envs": 2.5}, ValueError, r"num_envs = 2.5"),
        ({"seeds": [1, 1]}, ValueError, r"seeds = \[1, 1\]"),
        ({"recipe": "best"}, ValueError, "recipe = 'best'"),
        ({"display": "loud"}, ValueError, "display = 'loud'"),
        ({"track": ["tensorbored"]}, ValueError, "tensorbored"),
        ({"hyperparameters": {"learning_rat": 1}}, TypeError, "did you mean 'learning_rate'"),
        ({"hyperparameters": {"gamma": 1.5}}, ValueError, r"PPO.gamma = 1.5: it must be in \[0, 1\]"),
        ({"hyperparameters": {"activation": "tanhh"}}, (ValueError, TypeError), "tanhh"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(change, error, message, tmp_path):
    asked = {"algorithm": "ppo", "env": "CartPole-v1", "steps": 100, "display": "quiet"} | change
    with pytest.raises(error, match=message):
        bm.train(**asked, run_folder=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunFolderError, match="file"):
        bm.train(PPO, "bellmax:CartPole", steps=100, run_folder=tmp_path / "file", **QUIET)


def test_ctrl_c_saves_the_run(tmp_path):
    program = (
        "import bellmax as bm\n"
        "bm.train(bm.A2C(hidden=(8,)), 'bellmax:CartPole', steps=10**9, num_envs=2, log_every=1000,"
        " checkpoint_every=10**8,"
        f" run_folder={str(tmp_path)!r}, name='x', display='quiet')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "x" / "metrics.jsonl").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "go on with: bellmax resume" in err
    assert RunFolder.open(tmp_path / "x").status == "interrupted"
    run = bm.load(tmp_path / "x")
    assert run.meta["taken"][0] == run.metrics[-1]["step"] > 0


def test_a_policy_with_a_memory_remembers_until_it_is_reset():
    run = bm.train(
        bm.RecurrentPPO(experience=bm.Steps(8), hidden=(4,), memory_size=4, minibatches=1, epochs=1),
        "bellmax:CartPole",
        steps=200,
        num_envs=2,
        run_folder=None,
        **QUIET,
    )
    policy, obs = run.policy_of(greedy=False), np.zeros(4, np.float32)
    policy(obs)
    once = policy._memory
    policy(obs)
    assert not np.array_equal(once, policy._memory)
    policy.reset()
    policy(obs)
    assert np.array_equal(once, policy._memory)
