"""FrozenLake: cross the ice without falling through a hole; Gymnasium's FrozenLake-v1, state for state."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs import grid
from bellmax.envs.grid import GridState
from bellmax.maths.chance import uniform
from bellmax.ranges import Count, Unit
from bellmax.spaces import Discrete

MAPS: dict[str, grid.Layout] = {
    "4x4": ("SFFF", "FHFH", "FFFH", "HFFG"),
    "8x8": ("SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"),
}


class FrozenLake(Env):
    """Walk from S to G over frozen cells F; a hole H ends the episode.

    On slippery ice the agent goes where it wants with probability `success_rate`, else to one of the two perpendicular
    sides. `map_name` is "4x4" or "8x8"; `layout` draws another lake in the letters S, F, H, G, starts drawn evenly.
    The time limit is Gymnasium's, 100 steps on the 4x4 lake and 200 on the 8x8 (25 a row), unless `max_steps` is given.

    Observation: the cell, row by row from the top left. Actions: 0 left, 1 down, 2 right, 3 up.
    https://gymnasium.farama.org/environments/toy_text/frozen_lake/
    """

    map_name: str = "4x4"
    layout: tuple[str, ...] = ()
    is_slippery: bool = True
    success_rate: Unit = 1 / 3
    goal_reward: float = 1.0
    hole_reward: float = 0.0
    step_reward: float = 0.0
    max_steps: Count | None = None

    frames_per_second = 4

    def __post_init__(self) -> None:
        Env.__post_init__(self)
        if self.map_name not in MAPS:
            raise ValueError(f"FrozenLake.map_name = {self.map_name!r}: it must be one of {', '.join(MAPS)}.")
        grid.check("FrozenLake", self._map, "SFHG")
        if not len(grid.find(self._map, "S")):
            raise ValueError(f"FrozenLake.layout = {self.layout!r}: no episode can start here; draw a start 'S'.")

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(len("".join(self._map))), Discrete(4))

    def reset(self, key: Array) -> tuple[GridState, Array]:
        starts = jnp.asarray(grid.find(self._map, "S"))
        cell = starts[0]
        if len(starts) > 1:
            cell = starts[(uniform(key) * len(starts)).astype(jnp.int32)]
        return GridState(cell, jnp.int32(0)), cell

    def step(self, env_state: GridState, action: Array, key: Array) -> tuple[GridState, Outcome]:
        number = uniform(key) if self.is_slippery else jnp.float32(0)
        moved = self.move(env_state.cell, action, number)
        return grid.arrive(env_state, *moved, self.max_steps or 25 * len(self._map))

    def move(self, cell: Array, action: Array, number: Array) -> tuple[Array, Array, Array]:
        """Where `action` leads from `cell`, given a `number` drawn from [0, 1) -> cell, reward, terminated."""
        direction = grid.slipped(action, number, 1 - self.success_rate if self.is_slippery else 0.0)
        rewards = self.step_reward, self.goal_reward, self.hole_reward
        return grid.move(grid.moves(self._map), cell, direction, *rewards)

    def text(self, env_state: GridState) -> str:
        """The map as text, the agent an `@`."""
        return grid.text(self._map, env_state.cell)

    def render(self, env_state: GridState) -> np.ndarray:
        """A picture, uint8 [height, width, 3]."""
        return grid.picture(self._map, env_state.cell)

    @property
    def _map(self) -> grid.Layout:
        return self.layout or MAPS[self.map_name]
