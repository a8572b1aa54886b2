"""The chain: a small reward now, or a large one for whoever keeps going; the classical test of exploration."""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.mdp.model import MDP


def chain(
    states: int = 5,
    gamma: float = 0.99,
    *,
    slip: float = 0.2,
    small: float = 2.0,
    large: float = 10.0,
    dtype: Any = np.float64,
) -> MDP:
    """Dearden, Friedman & Russell, Bayesian Q-learning (1998); Strens, 2000.

    Action 0 goes forward for nothing, and stays in the last state for `large`; action 1 goes back to the first state
    for `small`. With probability `slip` the other action's effect comes instead. An episode starts in the first state
    and never ends.
    """
    place = np.arange(states)
    forward = np.minimum(place + 1, states - 1), np.where(place == states - 1, large, 0.0)
    back = np.zeros(states, int), np.full(states, small)
    successor, reward = (np.array([[f, b], [b, f]]) for f, b in zip(forward, back))
    probability = np.broadcast_to(np.array([1 - slip, slip])[:, None], successor.shape)
    arrays = successor.astype(np.int32), probability.astype(dtype), reward.astype(dtype)
    start = (place == 0).astype(dtype)
    return MDP(*arrays, gamma, np.zeros(states, bool), start=start, grid=(1, states), action_names=("forward", "back"))
