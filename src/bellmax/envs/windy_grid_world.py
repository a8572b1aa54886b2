"""WindyGridWorld: a wind across the way blows the agent upwards."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs import grid
from bellmax.envs.grid import GridState
from bellmax.ranges import Count
from bellmax.spaces import Discrete

MAP: grid.Layout = ("..........",) * 3 + ("S......G..",) + ("..........",) * 3
WIND = np.array([0, 0, 0, 1, 1, 1, 2, 2, 1, 0])  # cells upwards, a column
START, GOAL = 30, 37
DIRECTIONS = np.array([*grid.LEFT_DOWN_RIGHT_UP, (1, -1), (1, 1), (-1, 1), (-1, -1), (0, 0)])


class WindyGridWorld(Env):
    """Walk from S to G; every step costs 1. The column that is left says how far the wind blows the step upwards.

    Sutton & Barto, Reinforcement Learning, 2nd edition, Example 6.5 (http://incompleteideas.net/book/the-book-2nd.html);
    `moves=8` and 9 are exercise 6.9, `stochastic` is exercise 6.10: where there is wind, it is by one weaker or
    stronger in a third of the steps each. Edges stop the agent. As in the book there is no time limit unless
    `max_steps` is given.

    Observation: the cell, row by row from the top left. Actions: 0 left, 1 down, 2 right, 3 up, then diagonally
    4 down left, 5 down right, 6 up right, 7 up left, and 8 to let the wind do it.
    """

    moves: Literal[4, 8, 9] = 4  # to the sides; like a king; like a king, or none
    stochastic: bool = False
    max_steps: Count | None = None

    frames_per_second = 4

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(70), Discrete(self.moves))

    def reset(self, key: Array) -> tuple[GridState, Array]:
        return GridState(jnp.int32(START), jnp.int32(0)), jnp.int32(START)

    def step(self, env_state: GridState, action: Array, key: Array) -> tuple[GridState, Outcome]:
        uniform = jax.random.uniform(key) if self.stochastic else jnp.float32(0)
        return grid.arrive(env_state, *self.move(env_state.cell, action, uniform), self.max_steps)

    def move(self, cell: Array, action: Array, uniform: Array) -> tuple[Array, Array, Array]:
        """Where `action` leads from `cell`, given one draw from [0, 1) -> cell, reward, terminated."""
        row, column = jnp.divmod(cell, 10)
        down, across = jnp.asarray(DIRECTIONS)[action]
        wind = jnp.asarray(WIND)[column]
        if self.stochastic:
            wind = wind + jnp.where(wind > 0, jnp.floor(3 * uniform).astype(jnp.int32) - 1, 0)
        row, column = jnp.clip(row + down - wind, 0, 6), jnp.clip(column + across, 0, 9)
        entered = (10 * row + column).astype(jnp.int32)
        return entered, jnp.float32(-1), entered == GOAL

    def text(self, env_state: GridState) -> str:
        """The map as text, the agent an `@`, and below it the wind."""
        return grid.text(MAP, env_state.cell) + "\n" + "".join(map(str, WIND))

    def render(self, env_state: GridState) -> np.ndarray:
        """A picture, uint8 [height, width, 3]."""
        return grid.picture(MAP, env_state.cell)
