"""Trying an environment out: each breach of Gymnasium's contract is named."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs

from bellmax.envs.adaptors.gymnasium import EnvironmentFailed, HostedSource, InvalidEnvironment


class Faulty(gym.Env):
    """Keeps the contract except where `faults` say otherwise."""

    def __init__(self, **faults):
        space = gs.Dict({"x": gs.Box(0, 1, (2,), np.float32), "n": gs.Discrete(3)})
        self.observation_space, self.action_space = faults.get("space", space), gs.Discrete(2)
        self.faults = faults

    def reset(self, *, seed=None, options=None):
        return self.faults.get("reset", (self._show(), {}))

    def _show(self):
        return self.faults.get("obs", {"x": np.zeros(2, np.float32), "n": 0})

    def step(self, action):
        rest = [self.faults.get(name, good) for name, good in (("reward", 1.0), ("flag", False))]
        return self.faults.get("step", (self._show(), *rest, False, {}))


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"reset": np.zeros(2)}, "reset returned an array of shape (2,): return (observation, info)"),
        ({"step": (0, 0, False, {})}, "step returned a tuple of 4: return (observation, reward, terminated, trunc"),
        ({"obs": np.zeros(2)}, "reset's observation has an array of shape (2,): observation_space declares ['n', 'x']"),
        ({"obs": {"x": np.zeros(2)}}, "reset's observation has the keys ['x']: observation_space declares ['n', 'x']"),
        ({"obs": {"x": np.zeros(3), "n": 0}}, "observation['x'] is an array of shape (3,): observation_space declares"),
        ({"obs": {"x": np.zeros(2), "n": 0.5}}, "observation['n'] has dtype float64: observation_space declares int64"),
        ({"obs": {"x": np.zeros(2), "n": 3}}, "observation['n'] is out of its bounds, 3 to 3"),
        ({"obs": {"x": np.array([0, np.nan]), "n": 0}}, "observation['x'] holds NaN"),
        ({"obs": {"x": [[0], [0, 0]], "n": 0}}, "observation['x'] is list"),
        ({"reward": np.zeros(1)}, "reward is an array of shape (1,): return one number"),
        ({"reward": np.inf}, "reward is inf: return a finite number"),
        ({"flag": 1}, "terminated is int 1: return True or False"),
        ({"space": None}, "has no observation_space"),
    ],
)
def test_check_says_what_is_wrong(faults, words):
    with pytest.raises(InvalidEnvironment) as caught:
        HostedSource(Faulty, faults).check()
    assert str(caught.value).startswith("Faulty")
    assert words in str(caught.value)


def test_check_passes_what_is_right_and_warns_of_bounds():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HostedSource(Faulty).check()
        HostedSource(Faulty, {"obs": {"x": [0, 1.0], "n": np.int8(2)}}).check()  # a narrower number is no fault
        HostedSource("CartPole-v1").check()
    with pytest.warns(UserWarning, match=r"observation\['x'\] is out of its bounds, 0.0 to 2.0"):
        HostedSource(Faulty, {"obs": {"x": np.array([0.0, 2.0]), "n": 0}}).check()


def test_check_reports_what_the_environment_raises():
    class Breaks(Faulty):
        def step(self, action):
            raise ZeroDivisionError("by zero")

    with pytest.raises(EnvironmentFailed, match=r"Breaks failed while it was checked .seed 0.: ZeroDivisionError"):
        HostedSource(Breaks).check()
