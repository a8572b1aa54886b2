"""GridWorld: any map you can draw in letters, with walls, traps and slippery floor."""

from __future__ import annotations

import functools
from typing import Annotated

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs import grid
from bellmax.envs.grid import GridState
from bellmax.maths.chance import uniform
from bellmax.ranges import Count, Range, Unit
from bellmax.spaces import Discrete


class GridWorld(Env):
    """Find the goal.

    Without a `layout` the world is an open square of `size` x `size` cells with the start top left and the goal bottom
    right. A layout draws another: `GridWorld(layout=("S..", ".#T", "..G"))`, where S is a start (one of several, drawn
    evenly), G a goal and T a trap (both end the episode), # a wall, . floor. The reward is that of the cell entered;
    a step against a wall or the edge enters the cell it came from.

    Observation: the cell, row by row from the top left. Actions: 0 left, 1 down, 2 right, 3 up; with probability
    `slip` the agent goes to one of the two perpendicular sides instead. With `random_start` an episode starts on any
    floor or start cell.
    """

    size: Annotated[int, Range(2)] = 5
    layout: tuple[str, ...] = ()
    slip: Unit = 0.0
    step_reward: float = 0.0
    goal_reward: float = 1.0
    trap_reward: float = -1.0
    max_steps: Count = 100
    random_start: bool = False

    frames_per_second = 4

    def __post_init__(self) -> None:
        Env.__post_init__(self)
        grid.check("GridWorld", self._map, "S.#TG")
        if not len(self._starts):
            cell = "a floor cell '.'" if self.random_start else "a start 'S', or set random_start"
            raise ValueError(f"GridWorld.layout = {self.layout!r}: no episode can start here; draw {cell}.")

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(len("".join(self._map))), Discrete(4))

    def reset(self, key: Array) -> tuple[GridState, Array]:
        starts = jnp.asarray(self._starts)
        cell = starts[0]
        if len(starts) > 1:
            cell = starts[(uniform(key) * len(starts)).astype(jnp.int32)]
        return GridState(cell, jnp.int32(0)), cell

    def step(self, env_state: GridState, action: Array, key: Array) -> tuple[GridState, Outcome]:
        moved = self.move(env_state.cell, action, uniform(key))
        return grid.arrive(env_state, *moved, self.max_steps)

    def move(self, cell: Array, action: Array, number: Array) -> tuple[Array, Array, Array]:
        """Where `action` leads from `cell`, given a `number` drawn from [0, 1) -> cell, reward, terminated."""
        direction = grid.slipped(action, number, self.slip)
        rewards = self.step_reward, self.goal_reward, self.trap_reward
        return grid.move(grid.moves(self._map), cell, direction, *rewards)

    def text(self, env_state: GridState) -> str:
        """The map as text, the agent an `@`."""
        return grid.text(self._map, env_state.cell)

    def render(self, env_state: GridState) -> np.ndarray:
        """A picture, uint8 [height, width, 3]."""
        return grid.picture(self._map, env_state.cell)

    @property
    def _map(self) -> grid.Layout:
        return self.layout or _open(self.size)

    @property
    def _starts(self) -> np.ndarray:
        return grid.find(self._map, "S." if self.random_start else "S")


@functools.lru_cache
def _open(size: int) -> grid.Layout:
    floor = "." * size
    return ("S" + floor[1:], *[floor] * (size - 2), floor[1:] + "G")
