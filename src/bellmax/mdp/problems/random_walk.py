"""The random walk of Examples 6.2 and 7.1: no choice, chance drifts left or right until an end is reached."""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.mdp.model import MDP


def random_walk(
    states: int = 5,
    left_reward: float = 0.0,
    right_reward: float = 1.0,
    *,
    gamma: float = 1.0,
    right: float = 0.5,
    dtype: Any = np.float64,
) -> MDP:
    """A row of `states` places between two absorbing ends, 0 and `states` + 1; an episode starts in the middle.

    `right` is the probability of a step to the right. Sutton & Barto, Reinforcement Learning, 2nd edition, Example 6.2
    (5 states, 0 at the left end, 1 at the right) and Example 7.1 (19 states, -1 and 1).
    """
    place = np.arange(states + 2)
    over = (place == 0) | (place == states + 1)
    successor = np.where(over, place, place + np.array([[[-1], [1]]]))
    probability = np.where(over, [[[1], [0]]], [[[1 - right], [right]]])
    enters = [successor == 0, successor == states + 1]
    reward = np.where(over, 0, np.select(enters, [left_reward, right_reward], 0))
    start = place == (states + 1) // 2
    arrays = successor.astype(np.int32), probability.astype(dtype), reward.astype(dtype)
    return MDP(*arrays, gamma, over, start=start.astype(dtype), grid=(1, states + 2), action_names=("walk",))
