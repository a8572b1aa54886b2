"""Scores over a grid: by hand where the score is the parameters', and as `evaluate` has it where it is not."""

import json
from types import SimpleNamespace

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
import bellmax.cli.sensitivity as command
from bellmax.engine import evaluate_policy
from bellmax.envs import CartPole
from bellmax.envs.names import find
from bellmax.envs.parameters import UnknownParameter
from bellmax.reality.sensitivity import Sensitivity


class Payer(bm.Env):
    """Pays `pay` in each of 3 steps, and once `gift`."""

    pay: float = 1.0
    gift: float = 0.0

    @property
    def spec(self):
        return bm.Spec(bm.Box((1,)), bm.Discrete(2))

    def reset(self, key):
        return jnp.int32(0), jnp.zeros(1)

    def step(self, env_state, action, key):
        reward = self.pay + self.gift * (env_state == 0)
        return env_state + 1, bm.Outcome(jnp.zeros(1), reward, jnp.float32(1), env_state >= 2)


class HostedPayer(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    pay, gift = 1.0, 0.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.time += 1
        return np.zeros(1, np.float32), self.pay + self.gift * (self.time == 1), False, self.time == 3, {}


def run_of(env, spec=None, seeds=(0, 1)):
    """What `sensitivity` asks of a run, untrained."""
    ppo, env = bm.PPO(hidden=(4,)), find(env)
    spec = spec or env.spec
    plan = SimpleNamespace(env=env, algorithm_name="ppo", env_name="a world")
    state_of = lambda index: ppo.init(jax.random.key(seeds[index]), spec)
    return SimpleNamespace(plan=plan, algorithm=ppo, seeds=list(seeds), state_of=state_of)


GRID = {"pay": [1.0, 2.0, 5.0], "gift": [0.0, 10.0]}
WANTED = [[3.0, 13.0], [6.0, 16.0], [15.0, 25.0]]
SPEC = bm.Spec(bm.Box((1,)), bm.Discrete(2))


@pytest.mark.parametrize("env", [Payer(), bm.Randomised(Payer(), {"pay": (3, 4)}), HostedPayer])
def test_scores_are_those_of_each_point(env):
    """Also where training drew the parameters at random: the grid decides, not what was drawn."""
    found = bm.sensitivity(run_of(env, SPEC), GRID, episodes=2)
    np.testing.assert_allclose(found.scores, [WANTED, WANTED], rtol=1e-6)
    assert found.usual == {"pay": 1.0, "gift": 0.0}
    assert found.lowest == ({"pay": 1.0, "gift": 0.0}, 3.0)
    assert found.rows()[3] == {"pay": 2.0, "gift": 10.0, "mean": 16.0, "worst": 16.0, "best": 16.0}
    lines = found.table().splitlines()
    assert lines[0].split() == ["pay", "gift", "mean", "worst", "seed", "best", "seed"]
    assert lines[2].split() == ["1", "0", "3.00", "3.00", "3.00"]


def test_a_point_is_an_evaluation_in_that_environment():
    run = run_of(CartPole())
    found = bm.sensitivity(run, {"half_length": [0.3, 2.0], "force": [5.0]}, episodes=8)
    for index, length in enumerate((0.3, 2.0)):
        env = CartPole(half_length=length, force=5.0)
        wanted = [evaluate_policy(run.algorithm, env, run.state_of(i), seed=i, episodes=8).mean for i in (0, 1)]
        np.testing.assert_allclose(found.scores[:, index, 0], wanted, rtol=1e-6)
    assert (found.scores[:, 0] != found.scores[:, 1]).any(), "a control"


@pytest.mark.parametrize(
    ("over", "kind", "words"),
    [
        ({}, ValueError, "over is empty"),
        ({"half_lenght": [1]}, UnknownParameter, "did you mean 'half_length'"),
        ({"force": []}, ValueError, "give the values to try"),
        ({"force": 3.0}, ValueError, "give the values to try"),
        ({"force": [1.0, -1.0]}, ValueError, "greater than 0"),
    ],
)
def test_errors_say_what_to_change(over, kind, words):
    with pytest.raises(kind, match=words):
        bm.sensitivity(run_of(CartPole()), over)


def made_up(name="plain", shape=(3,), usual=2.0):
    parameters = {f"p{i}": tuple(float(x) for x in range(1, n + 1)) for i, n in enumerate(shape)}
    scores = np.arange(2 * np.prod(shape)).reshape(2, *shape) * 1.0
    return Sensitivity(name, parameters, dict.fromkeys(parameters, usual), scores, 5)


def test_one_parameter_is_a_curve_for_each_policy(tmp_path):
    figure = made_up().plot(None, [made_up("other")], title="Title")
    axes = figure.axes[0]
    plain, usual, other = axes.lines
    np.testing.assert_array_equal(plain.get_ydata(), [1.5, 2.5, 3.5])
    assert set(usual.get_xdata()) == {2.0}
    assert [text.get_text() for text in axes.get_legend().texts] == ["plain", "other"]
    assert axes.get_xlabel() == "p0"
    np.testing.assert_array_equal(other.get_xdata(), [1, 2, 3])
    assert made_up().plot(tmp_path / "one").suffix == ".png"


def test_two_parameters_are_maps_with_the_same_colours():
    figure = made_up(shape=(2, 3)).plot(None, [made_up("other", (2, 3))])
    left, right, bar = figure.axes
    assert [text.get_text() for text in left.texts] == ["3.00", "4.00", "5.00", "6.00", "7.00", "8.00"]
    assert (left.get_ylabel(), left.get_xlabel()) == ("p0", "p1")
    assert left.images[0].get_clim() == right.images[0].get_clim() == (3.0, 8.0)
    assert [(box.get_x(), box.get_y()) for box in left.patches] == [(0.5, 0.5)], "the usual point, 2 and 2"
    assert bar.get_ylabel().startswith("score")


def test_three_parameters_are_averages():
    figure = made_up(shape=(2, 3, 4)).plot()
    scores = made_up(shape=(2, 3, 4)).scores
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), scores.mean((0, 1, 3)))
    assert len(figure.axes) == 3


def test_what_cannot_be_drawn_together_is_refused():
    with pytest.raises(ValueError, match="give each another"):
        made_up().plot(None, [made_up()])
    with pytest.raises(ValueError, match="grids differ"):
        made_up().plot(None, [made_up("other", (4,))])


def test_the_command_prints_and_draws(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(command, "find_run", lambda name: tmp_path)
    monkeypatch.setattr(command, "load", lambda path, checkpoint: run_of(Payer()))
    command.main(["latest", "--over", "pay=1,2,5", "--over", "gift=0,10", "--episodes", "1", "--plot"])
    printed = capsys.readouterr().out
    assert "ppo on a world, 1 episodes at each point, 2 seeds" in printed
    assert printed.splitlines()[4].split() == ["1", "0", "3.00", "3.00", "3.00"]
    assert (tmp_path / "sensitivity.png").stat().st_size > 5000
    command.main(["latest", "--over", "pay=2", "--json"])
    assert json.loads(capsys.readouterr().out) == {"pay": 2.0, "mean": 6.0, "worst": 6.0, "best": 6.0}
    with pytest.raises(ValueError, match="write NAME=A,B"):
        command.main(["latest", "--over", "pay"])
    with pytest.raises(ValueError, match="what should be others"):
        command.main(["latest"])
