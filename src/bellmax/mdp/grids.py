"""Huge slippery grids, made in moments, and how much memory a model will take before it is there."""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.envs.grid import LEFT_DOWN_RIGHT_UP
from bellmax.mdp.model import DIRECTIONS, MDP


def memory_of(
    states: int, actions: int, outcomes: int, dtype: Any = np.float32, *, reward_outcomes: int = 1, legal: bool = False
) -> int:
    """Bytes that a model of this size will take; `bellmax.mdp.in_words` says them for people.

    `reward_outcomes`: 1 if the reward does not depend on the outcome, else `outcomes`. A solver needs about
    `states * (2 * actions + 4)` numbers more, and a copy of the arrays where the accelerator has memory of its own.
    """
    real = np.dtype(dtype).itemsize
    return states * (actions * (outcomes * (4 + real) + reward_outcomes * real) + 1 + actions * legal)


def slippery_grid(
    rows: int,
    columns: int,
    gamma: float = 0.99,
    seed: int = 0,
    *,
    slip: float = 0.4,
    goals: int | None = None,
    dtype: Any = np.float32,
    check: bool = False,
) -> MDP:
    """A grid of rough and slippery ground: 4 actions (left, down, right, up) with 3 successors each.

    In every cell and for every action the agent misses its direction to either side with a probability drawn evenly
    from [0, slip / 2]. Leaving a cell costs an amount drawn evenly from [0.5, 1.5], whatever the action. `goals` cells
    drawn at random are absorbing (None: one in 10,000 and at least 1). Steps against the edge stay. Filled in place:
    making it takes hardly more memory than `memory_of(rows * columns, 4, 3, dtype)`.
    """
    if not (min(rows, columns) >= 1 and rows * columns >= 2 and 0 <= slip <= 1):
        raise ValueError(
            f"slippery_grid: rows = {rows}, columns = {columns}, slip = {slip}: two cells, slip in [0, 1]."
        )
    random, states = np.random.default_rng(seed), rows * columns
    absorbing = np.zeros(states, bool)
    goals = max(1, states // 10_000) if goals is None else goals
    absorbing[random.choice(states, goals, replace=False, shuffle=False)] = True
    cost = random.random(states, dtype)
    successor, probability = np.empty((4, 3, states), np.int32), np.empty((4, 3, states), dtype)
    reward = np.empty((4, 1, states), dtype)
    for action in range(4):
        for outcome, turn in enumerate((0, -1, 1)):
            _neighbours(successor[action, outcome], rows, columns, (action + turn) % 4)
        _chances(probability[action], random, slip)
        np.subtract(-0.5, cost, out=reward[action, 0])
    over = np.flatnonzero(absorbing)
    successor[:, :, over], probability[:, :, over], reward[:, :, over] = over, np.array([[1], [0], [0]]), 0
    return MDP(successor, probability, reward, gamma, absorbing, None, None, (rows, columns), DIRECTIONS, check)


def _neighbours(out: np.ndarray, rows: int, columns: int, direction: int) -> None:
    """Fill `out` [states] with the cell that lies in that direction, or the cell itself at the edge."""
    down, across = LEFT_DOWN_RIGHT_UP[direction]
    row = np.clip(np.arange(rows, dtype=np.int32) + np.int32(down), 0, rows - 1)
    column = np.clip(np.arange(columns, dtype=np.int32) + np.int32(across), 0, columns - 1)
    np.add(row[:, None] * np.int32(columns), column, out=out.reshape(rows, columns))


def _chances(out: np.ndarray, random: np.random.Generator, slip: float) -> None:
    """Fill `out` [3, states] with the probabilities of going straight, to one side and to the other."""
    straight, *sides = out
    straight[:] = 1
    for side in sides:
        random.random(dtype=out.dtype, out=side)
        side *= slip / 2
        straight -= side
