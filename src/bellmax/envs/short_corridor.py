"""ShortCorridor: three states that look alike, in one of which left and right are exchanged."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs import grid
from bellmax.envs.grid import GridState
from bellmax.ranges import Count
from bellmax.spaces import Discrete


class ShortCorridor(Env):
    """Walk right out of a corridor of three cells; in the middle one the actions do the opposite. A step costs 1.

    Sutton & Barto, Reinforcement Learning, 2nd edition, Example 13.1 (http://incompleteideas.net/book/the-book-2nd.html).
    No policy sees where it is, so the best one is random: right with probability 2 - sqrt 2 = 0.586, worth -11.66.
    There is no time limit unless `max_steps` is given: a policy that always does the same never arrives.

    Observation: always 0. Actions: 0 left, 1 right.
    """

    max_steps: Count | None = None

    frames_per_second = 4

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(1), Discrete(2))

    def reset(self, key: Array) -> tuple[GridState, Array]:
        return GridState(jnp.int32(0), jnp.int32(0)), jnp.int32(0)

    def step(self, env_state: GridState, action: Array, key: Array) -> tuple[GridState, Outcome]:
        rightwards = (jnp.asarray(action) == 1) != (env_state.cell == 1)
        cell = jnp.maximum(env_state.cell + jnp.where(rightwards, 1, -1), 0).astype(jnp.int32)
        env_state, outcome = grid.arrive(env_state, cell, jnp.float32(-1), cell == 3, self.max_steps)
        return env_state, outcome._replace(obs=jnp.int32(0))

    def value(self, right: float) -> float:
        """What going right with probability `right` is worth from the start, undiscounted.

        With p = `right`: v0 = -1 + p v1 + (1 - p) v0,  v1 = -1 + p v0 + (1 - p) v2,  v2 = -1 + (1 - p) v1.
        """
        p = right
        rows = [[p, -p, 0], [-p, 1, p - 1], [0, p - 1, 1]]
        return float(np.linalg.solve(np.array(rows), -np.ones(3))[0])

    def text(self, env_state: GridState) -> str:
        """The corridor as text, the agent an `@`, the way out `G`."""
        return grid.text(("...G",), env_state.cell)

    def render(self, env_state: GridState) -> np.ndarray:
        """A picture, uint8 [height, width, 3]."""
        return grid.picture(("...G",), env_state.cell)
