"""MiniGrid's observations: its own picture and direction, without the text."""

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("minigrid")

from bellmax.envs.adaptors.gymnasium import UnsupportedSpace
from bellmax.envs.names import find
from bellmax.spaces import Box, Discrete


def test_observations_are_minigrids_without_the_mission():
    source = find("MiniGrid-DoorKey-5x5-v0", max_steps=30)
    source.check()
    hosted = source.vector(1, 0)
    assert hosted.spec.obs == {"direction": Discrete(4), "image": Box((7, 7, 3), 0.0, 10.0, "uint8")}
    env = gym.make("MiniGrid-DoorKey-5x5-v0", max_steps=30)
    theirs, _ = env.reset(seed=int(np.random.SeedSequence([0, 0]).generate_state(1)[0] >> 1))
    ours, largest, taken = hosted.reset(), 0, 0
    for action in np.random.default_rng(0).integers(7, size=30):
        np.testing.assert_array_equal(ours["image"][0], theirs["image"])
        assert ours["direction"][0] == theirs["direction"]
        largest = max(largest, int(theirs["image"].max()))
        arrival = hosted.step(np.array([action]))
        theirs, _, terminated, truncated, _ = env.step(action)
        ours, taken = arrival.next_obs, taken + 1
        assert bool(arrival.last[0]) == (terminated or truncated)
        assert float(arrival.discount[0]) == 1 - terminated
        if arrival.last[0]:
            break
    assert taken == 30, "it was cut short"
    assert 2 < largest <= 10


def test_tasks_that_are_told_in_words_are_refused():
    with pytest.raises(UnsupportedSpace, match="mission"):
        find("BabyAI-GoToRedBall-v0").vector(1, 0)
