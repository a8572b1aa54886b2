"""MaximisationBias: a loss that looks like a gain to whoever takes a maximum over noisy estimates."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs import grid
from bellmax.envs.grid import GridState
from bellmax.ranges import Count, NonNegative
from bellmax.spaces import Discrete, Masked, MultiBinary

A, B, OVER = range(3)


class MaximisationBias(Env):
    """From A, right ends the episode with 0; left leads to B, where each of many actions ends it with noise below 0.

    Sutton & Barto, Reinforcement Learning, 2nd edition, Example 6.7 (http://incompleteideas.net/book/the-book-2nd.html).
    Rewards of B have the mean `mean` and the standard deviation `deviation`: with the default going left is a mistake.

    Observation: 0 (A), 1 (B) or 2 (over), with a mask: A has two legal actions, 0 left and 1 right, B has `actions`.
    """

    actions: Count = 10
    mean: float = -0.1
    deviation: NonNegative = 1.0

    frames_per_second = 2

    @property
    def spec(self) -> Spec:
        number = max(self.actions, 2)
        return Spec(Masked(Discrete(3), MultiBinary(number)), Discrete(number))

    def reset(self, key: Array) -> tuple[GridState, Masked]:
        return GridState(jnp.int32(A), jnp.int32(0)), self._seen(jnp.int32(A))

    def step(self, env_state: GridState, action: Array, key: Array) -> tuple[GridState, Outcome]:
        at_a, left = env_state.cell == A, jnp.asarray(action) == 0
        cell = jnp.where(at_a & left, B, OVER).astype(jnp.int32)
        noise = self.mean + self.deviation * jax.random.normal(key)
        reward = jnp.where(env_state.cell == B, noise, 0.0)
        env_state, outcome = grid.arrive(env_state, cell, reward, cell == OVER, None)
        return env_state, outcome._replace(obs=self._seen(cell))

    def text(self, env_state: GridState) -> str:
        """The states in a row, B left of A and the end right of it; the agent an `@`."""
        return grid.text(("BAE",), jnp.array([1, 0, 2])[env_state.cell])

    def _seen(self, cell: Array) -> Masked:
        number = jnp.arange(max(self.actions, 2))
        return Masked(cell, number < jnp.where(cell == A, 2, self.actions))
