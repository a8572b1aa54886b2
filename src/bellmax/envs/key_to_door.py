"""Key to door: what is done in the first room pays in the third, and in the second there is nothing to do."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.ranges import Count, Range
from bellmax.spaces import Discrete, MultiDiscrete

ROOMS = 3
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # left, down, right, up


class KeyToDoorState(NamedTuple):
    """Where the agent is, int32, and what it holds."""

    step: Array  # taken so far, in all rooms
    row: Array
    column: Array
    has_key: Array  # bool


class KeyToDoor(Env):
    """Pick up the key in the first room, cross the second, open the door in the third.

    After Hung et al., 2018 (https://arxiv.org/abs/1810.06721) and Mesnard et al., 2021
    (https://arxiv.org/abs/2011.09464), as in Decision Transformer (Chen et al., 2021, section 5.5). Each room is a
    square of `size` x `size` cells that the agent enters in the middle of its left side and leaves after `room_steps`
    steps. The key, and in the last room the door, are in the middle of the right side; entering the key's cell picks it
    up, entering the door's with the key pays 1 and ends the episode. Nothing else is ever paid. A random walk opens
    the door in 3 of 100 episodes.

    Observation: the room, row and column, and whether a key or a door is in the room. Whether the agent holds the key
    is not seen once it has left the first room. Actions: 0 left, 1 down, 2 right, 3 up.
    """

    size: Annotated[int, Range(2)] = 3
    room_steps: Count = 5

    @property
    def spec(self) -> Spec:
        return Spec(MultiDiscrete((ROOMS, self.size, self.size, 2)), Discrete(len(MOVES)))

    def reset(self, key: Array) -> tuple[KeyToDoorState, Array]:
        zero = jnp.int32(0)
        state = KeyToDoorState(zero, jnp.int32(self.size // 2), zero, jnp.bool_(False))
        return state, self._show(state)

    def step(self, env_state: KeyToDoorState, action: Array, key: Array) -> tuple[KeyToDoorState, Outcome]:
        moves = jnp.asarray(MOVES, jnp.int32)[action]
        row, column = (
            jnp.clip(x + move, 0, self.size - 1) for x, move in zip((env_state.row, env_state.column), moves)
        )
        room, step = env_state.step // self.room_steps, env_state.step + 1
        there = (row == self.size // 2) & (column == self.size - 1)
        has_key = env_state.has_key | (there & (room == 0))
        opened = there & (room == ROOMS - 1) & has_key
        last = opened | (step == ROOMS * self.room_steps)
        enters = step % self.room_steps == 0
        row, column = jnp.where(enters, self.size // 2, row), jnp.where(enters, 0, column)
        state = KeyToDoorState(step, row, column, has_key)
        return state, Outcome(self._show(state), jnp.float32(opened), 1 - jnp.float32(last), last)

    def text(self, env_state: KeyToDoorState) -> str:
        """The room in letters: @ the agent, k the key, D the door."""
        rows, thing = [["."] * self.size for _ in range(self.size)], ("k", ".", "D")[int(self._room(env_state))]
        rows[self.size // 2][-1] = "." if thing == "k" and bool(env_state.has_key) else thing
        rows[int(env_state.row)][int(env_state.column)] = "@"
        return "\n".join("".join(row) for row in rows)

    def _room(self, state: KeyToDoorState) -> Array:
        return jnp.minimum(state.step // self.room_steps, ROOMS - 1)

    def _show(self, state: KeyToDoorState) -> Array:
        room = self._room(state)
        thing = (room == ROOMS - 1) | ((room == 0) & ~state.has_key)
        return jnp.stack([room, state.row, state.column, thing.astype(jnp.int32)]).astype(jnp.int32)
