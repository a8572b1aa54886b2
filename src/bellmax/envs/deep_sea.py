"""DeepSea: one way in 2^size leads to the treasure, and every step of it costs; a test of exploration."""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.picture import box, canvas, disc, paint
from bellmax.ranges import Count, NonNegative, Whole
from bellmax.spaces import Box, Discrete


class DeepSeaState(NamedTuple):
    """Where the diver is."""

    row: Array  # int32, 0 is the surface and `size` below the ground: also the steps taken in this episode
    column: Array  # int32


class DeepSea(Env):
    """Dive from the top left corner, a row a step, going left or right: which action is which differs by cell.

    Osband et al., Deep exploration via randomized value functions, 2019 (https://arxiv.org/abs/1703.07608), as in
    bsuite (https://openreview.net/forum?id=rygf-kSYwH). Going right costs `move_cost` / size; going right in the last
    column gives 1, and only whoever always went right gets there in time: after `size` steps the episode terminates.
    If `stochastic`, a move to the right fails once in `size` times, and the two corners at the ground give standard
    normal rewards on top. The best expected score is `optimal_return`, 0.99 if nothing is random; chance finds the
    treasure once in 2^size episodes.

    Observation: the cell, `Discrete`, row by row and the ground at last, for tables as well as networks (to which it is
    one-hot); or with `shown` "grid" a float32 [size^2] with a 1 for the cell and no 1 below the ground.
    """

    size: Count = 10
    stochastic: bool = False
    move_cost: NonNegative = 0.01
    mapping_seed: Whole | None = 0  # decides which action is right in each cell; None: always 1
    shown: Literal["cell", "grid"] = "cell"

    frames_per_second = 4

    @property
    def spec(self) -> Spec:
        cells = self.size**2
        return Spec(Discrete(cells + 1) if self.shown == "cell" else Box((cells,), 0.0, 1.0), Discrete(2))

    @property
    def optimal_return(self) -> float:
        """The expected score of the best policy: right while it has never failed, then left, which costs nothing.

        With p = 1 - 1 / size the chance that a move succeeds (1 if nothing is random), row k is reached without a
        failure with p^k, so that the costs come to move_cost / size * (1 + p + ... + p^(size - 1)) and the treasure
        to p^(size - 1).
        """
        p = 1 - 1 / self.size if self.stochastic else 1.0
        cost = self.move_cost / self.size * sum(p**row for row in range(self.size))
        return max(p ** (self.size - 1) - cost, 0.0)

    @property
    def right(self) -> np.ndarray:
        """Which action goes right, int [size, size]."""
        if self.mapping_seed is None:
            return np.ones((self.size, self.size), int)
        return np.random.default_rng(self.mapping_seed).integers(2, size=(self.size, self.size))

    def reset(self, key: Array) -> tuple[DeepSeaState, Array]:
        state = DeepSeaState(jnp.int32(0), jnp.int32(0))
        return state, self._show(state)

    def step(self, env_state: DeepSeaState, action: Array, key: Array) -> tuple[DeepSeaState, Outcome]:
        row, column = env_state
        right = action == jnp.asarray(self.right, jnp.int32)[row, column]
        reward = jnp.where(right, (column == self.size - 1) - self.move_cost / self.size, 0.0)
        moves = right
        if self.stochastic:
            fail_key, noise_key = jax.random.split(key)
            moves = right & ~jax.random.bernoulli(fail_key, 1 / self.size)
            corner = (row == self.size - 1) & ((column == 0) | (column == self.size - 1))
            reward += jnp.where(corner, jax.random.normal(noise_key), 0.0)
        step = jnp.where(moves, 1, jnp.where(right, 0, -1))
        state = DeepSeaState(row + 1, jnp.clip(column + step, 0, self.size - 1))
        ended = state.row == self.size
        discount = 1 - ended.astype(jnp.float32)
        return state, Outcome(self._show(state), reward.astype(jnp.float32), discount, ended)

    def _show(self, state: DeepSeaState) -> Array:
        cell = jnp.minimum(state.row * self.size + state.column, self.size**2)
        return cell if self.shown == "cell" else jax.nn.one_hot(cell, self.size**2)

    def render(self, env_state: DeepSeaState) -> np.ndarray:
        """A picture, uint8 [12 * size, 12 * size, 3]: the way to the treasure, and the diver."""
        image = canvas(12 * self.size, 12 * self.size, (226, 236, 244))
        for i in range(self.size):
            paint(image, box(image, (12 * i + 6, 12 * i + 6), 11, 11, 2), (190, 208, 224))
        paint(image, disc(image, (12 * self.size - 6, 12 * self.size - 6), 4), (226, 186, 60))
        row, column = (int(x) for x in env_state)
        paint(image, disc(image, (12 * min(row, self.size - 1) + 6, 12 * column + 6), 4), (242, 152, 46))
        return image
