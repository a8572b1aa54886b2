"""RandomWalk: drift left or right until an end is reached; the classical test of value prediction."""

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


class RandomWalk(Env):
    """A row of `states` between two ends that end the episode; one action, chance moves the agent.

    Sutton & Barto, Reinforcement Learning, 2nd edition (http://incompleteideas.net/book/the-book-2nd.html): the
    defaults are Example 6.2 (5 states, 0 at the left end, 1 at the right); `RandomWalk(states=19, left_reward=-1)` is
    Example 7.1. `right` is the probability of a step to the right. An episode starts in the middle.

    Observation: the place from the left; 0 and `states` + 1 are the ends, seen only when the episode is over.
    """

    states: Count = 5
    left_reward: float = 0.0
    right_reward: float = 1.0
    right: Unit = 0.5
    max_steps: Count | None = None

    frames_per_second = 4

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(self.states + 2), Discrete(1))

    def reset(self, key: Array) -> tuple[GridState, Array]:
        middle = jnp.int32((self.states + 1) // 2)
        return GridState(middle, jnp.int32(0)), middle

    def step(self, env_state: GridState, action: Array, key: Array) -> tuple[GridState, Outcome]:
        place = env_state.cell + jnp.where(uniform(key) < self.right, 1, -1)
        at_left, at_right = place == 0, place == self.states + 1
        reward = jnp.where(at_left, self.left_reward, jnp.where(at_right, self.right_reward, 0.0))
        return grid.arrive(env_state, place, reward, at_left | at_right, self.max_steps)

    def values(self) -> np.ndarray:
        """The true values without discounting and for an even coin, [states + 2]; 0 at the ends, where all is over.

        They lie on a straight line between the two rewards: the only solution of v(i) = (v(i - 1) + v(i + 1)) / 2.
        """
        line = np.linspace(float(self.left_reward), float(self.right_reward), self.states + 2)
        line[[0, -1]] = 0
        return line

    def text(self, env_state: GridState) -> str:
        """The row as text, the agent an `@`, the ends `E`."""
        return grid.text(self._map, env_state.cell)

    def render(self, env_state: GridState) -> np.ndarray:
        """A picture, uint8 [height, width, 3]."""
        return grid.picture(self._map, env_state.cell)

    @property
    def _map(self) -> grid.Layout:
        return ("E" + "." * self.states + "E",)
