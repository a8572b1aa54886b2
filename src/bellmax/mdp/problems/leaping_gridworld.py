"""The 5 x 5 gridworld of Examples 3.5 and 3.8: two cells throw the agent far down, and pay for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.envs import grid
from bellmax.mdp.model import DIRECTIONS, MDP

LEAPS = {1: (21, 10.0), 3: (13, 5.0)}  # A to A', which pays 10, and B to B', which pays 5


def leaping_gridworld(gamma: float = 0.9, *, dtype: Any = np.float64) -> MDP:
    """Sutton & Barto, Reinforcement Learning, 2nd edition, Example 3.5
    (http://incompleteideas.net/book/the-book-2nd.html).

    Every action in A (row 0, column 1) leads to A' (row 4) and pays 10, every one in B (row 0, column 3) to B' (row 2)
    and pays 5; a step off the grid stays and pays -1; others pay 0. Nothing ends. Actions: left, down, right, up.
    """
    successor = grid.moves(("." * 5,) * 5).cell.T.copy()
    reward = np.where(successor == np.arange(25), -1.0, 0.0)
    for cell, (landing, pays) in LEAPS.items():
        successor[:, cell], reward[:, cell] = landing, pays
    arrays = successor[:, None].astype(np.int32), np.ones((4, 1, 25), dtype), reward[:, None].astype(dtype)
    return MDP(*arrays, gamma, np.zeros(25, bool), grid=(5, 5), action_names=DIRECTIONS)
