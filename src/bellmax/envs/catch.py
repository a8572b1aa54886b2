"""Catch: a ball falls, a paddle at the bottom must be where it lands; pixels that are learned in a minute."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.ranges import Count
from bellmax.spaces import Box, Discrete


class CatchState(NamedTuple):
    """Where things are, all int32."""

    row: Array  # of the ball
    column: Array  # of the ball
    paddle: Array  # its column, in the last row


class Catch(Env):
    """Move the paddle left (0), not (1) or right (2); 1 for catching the ball, -1 for missing it, at the last step.

    Mnih et al., Recurrent models of visual attention, 2014 (https://arxiv.org/abs/1406.6247), with bsuite's board
    (https://openreview.net/forum?id=rygf-kSYwH). The ball starts in the top row in a column drawn evenly, the paddle in
    the middle; after `rows` - 1 steps the ball is down and the episode terminates. The best score is 1 if the board is
    not wider than twice its height, that of random play about 1 - 2 (columns - 1) / columns.
    Observation: a picture, uint8 [rows, columns, 1], 255 where ball or paddle is, else 0.
    """

    rows: Count = 10
    columns: Count = 5

    frames_per_second = 6

    @property
    def spec(self) -> Spec:
        return Spec(Box((self.rows, self.columns, 1), 0.0, 255.0, "uint8"), Discrete(3))

    def reset(self, key: Array) -> tuple[CatchState, Array]:
        column = jax.random.randint(key, (), 0, self.columns)
        state = CatchState(jnp.int32(0), column, jnp.int32(self.columns // 2))
        return state, self._show(state)

    def step(self, env_state: CatchState, action: Array, key: Array) -> tuple[CatchState, Outcome]:
        paddle = jnp.clip(env_state.paddle + action - 1, 0, self.columns - 1)
        state = CatchState(env_state.row + 1, env_state.column, paddle)
        down = state.row >= self.rows - 1
        reward = jnp.where(down, jnp.where(paddle == state.column, 1.0, -1.0), 0.0)
        return state, Outcome(self._show(state), reward, 1 - down.astype(jnp.float32), down)

    def _show(self, state: CatchState) -> Array:
        rows, columns = jnp.arange(self.rows)[:, None], jnp.arange(self.columns)[None]
        ball = (rows == state.row) & (columns == state.column)
        paddle = (rows == self.rows - 1) & (columns == state.paddle)
        return ((ball | paddle) * 255).astype(jnp.uint8)[..., None]

    def render(self, env_state: CatchState) -> np.ndarray:
        """A picture, uint8 [16 * rows, 16 * columns, 3]."""
        board = np.asarray(self._show(env_state))[..., 0] > 0
        colours = np.where(board[..., None], (242, 152, 46), (44, 54, 74)).astype(np.uint8)
        return colours.repeat(16, 0).repeat(16, 1)
