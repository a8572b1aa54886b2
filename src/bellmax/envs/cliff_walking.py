"""CliffWalking: the short way runs along a cliff; Gymnasium's CliffWalking-v1, state for state."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs import grid
from bellmax.envs.grid import GridState
from bellmax.maths.chance import uniform
from bellmax.ranges import Count
from bellmax.spaces import Discrete

MAP: grid.Layout = ("............", "............", "............", "SCCCCCCCCCCG")
START = 36


class CliffWalking(Env):
    """Walk from S to G. A step costs 1; one off the cliff costs 100 and leads back to S, and the episode goes on.

    Sutton & Barto, Reinforcement Learning, 2nd edition, Example 6.6 (http://incompleteideas.net/book/the-book-2nd.html).
    If `is_slippery`, the agent goes where it wants with probability 1/3, else to one of the two perpendicular sides.
    As in Gymnasium there is no time limit unless `max_steps` is given: a policy that never arrives never ends.

    Observation: the cell, row by row from the top left.
    Actions, not as in FrozenLake: 0 up, 1 right, 2 down, 3 left.
    https://gymnasium.farama.org/environments/toy_text/cliff_walking/
    """

    is_slippery: bool = False
    max_steps: Count | None = None

    frames_per_second = 4

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(48), Discrete(4))

    def reset(self, key: Array) -> tuple[GridState, Array]:
        return GridState(jnp.int32(START), jnp.int32(0)), jnp.int32(START)

    def step(self, env_state: GridState, action: Array, key: Array) -> tuple[GridState, Outcome]:
        number = uniform(key) if self.is_slippery else jnp.float32(0)
        return grid.arrive(env_state, *self.move(env_state.cell, action, number), self.max_steps)

    def move(self, cell: Array, action: Array, number: Array) -> tuple[Array, Array, Array]:
        """Where `action` leads from `cell`, given a `number` drawn from [0, 1) -> cell, reward, terminated."""
        direction = grid.slipped(action, number, 2 / 3 if self.is_slippery else 0.0)
        return grid.move(_moves(), cell, direction, step=-1.0, goal=-1.0, trap=-100.0)

    def text(self, env_state: GridState) -> str:
        """The map as text, the agent an `@`."""
        return grid.text(MAP, env_state.cell)

    def render(self, env_state: GridState) -> np.ndarray:
        """A picture, uint8 [height, width, 3]."""
        return grid.picture(MAP, env_state.cell)


@functools.lru_cache
def _moves() -> grid.Moves:
    """The table of moves. A fall leads to the start; no cell is absorbing, as in Gymnasium's own table."""
    floor = tuple("." * len(row) for row in MAP)
    entered = grid.moves(floor, grid.UP_RIGHT_DOWN_LEFT).cell
    tiles = grid.letters(MAP)[entered]
    kind = np.select([tiles == "C", tiles == "G"], [grid.TRAP, grid.GOAL], grid.STEP)
    cell = np.where(tiles == "C", START, entered)
    return grid.Moves(cell.astype(np.int32), kind.astype(np.int32), kind == grid.GOAL)
