"""The 4 x 4 gridworld of Example 4.1: every step costs 1 until one of two corners is reached."""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.envs import grid
from bellmax.mdp.model import DIRECTIONS, MDP


def small_gridworld(size: int = 4, *, dtype: Any = np.float64) -> MDP:
    """Sutton & Barto, Reinforcement Learning, 2nd edition, Example 4.1
    (http://incompleteideas.net/book/the-book-2nd.html).

    `size` x `size` cells; the corners top left and bottom right are absorbing; every step pays -1; gamma 1. Actions:
    left, down, right, up; a step against the edge stays. A policy that goes everywhere alike is worth 0, -14, -20, -22
    along the first row.
    """
    floor = "." * size
    layout = ("G" + floor[1:], *[floor] * (size - 2), floor[1:] + "G")
    table, over = grid.moves(layout), grid.find(layout, "G")
    absorbing = np.isin(np.arange(size * size), over)
    successor = table.cell.T[:, None].astype(np.int32)
    reward = np.where(absorbing, 0, -1.0) * np.ones(successor.shape)
    arrays = successor, np.ones(successor.shape, dtype), reward.astype(dtype)
    return MDP(*arrays, 1.0, absorbing, grid=(size, size), action_names=DIRECTIONS)
