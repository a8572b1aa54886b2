"""MiniGrid's observations without their sentence (https://minigrid.farama.org)."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

LARGEST = 10  # of what a cell can hold; colours and states are fewer


class Wordless(gym.ObservationWrapper):
    """{"direction", "image"}: where the agent looks, and what it has in front of it, uint8 [7, 7, 3].

    The mission, which is text, is left out; where it changes from episode to episode (GoToDoor, Fetch, PutNear,
    GoToObject, all of BabyAI), bring a wrapper of your own that turns it into numbers.
    """

    def __init__(self, env: gym.Env) -> None:
        gym.ObservationWrapper.__init__(self, env)
        shape = env.observation_space["image"].shape
        image = gym.spaces.Box(0, LARGEST, shape, "uint8")
        self.observation_space = gym.spaces.Dict({"direction": gym.spaces.Discrete(4), "image": image})

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Leave the mission out."""
        return {"direction": observation["direction"], "image": observation["image"]}
