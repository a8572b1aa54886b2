"""Bit flipping: make a row of bits equal another, one flip a step, told only when it is done."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.picture import box, canvas, paint
from bellmax.ranges import Count
from bellmax.spaces import Box, Discrete


class BitFlippingState(NamedTuple):
    """The bits, what they should be, and the time."""

    bits: Array  # float32 [bits] of 0 and 1
    goal: Array  # float32 [bits] of 0 and 1
    time: Array  # int32, steps taken in this episode


class BitFlipping(Env):
    """Action i flips bit i; -1 for every step but the one that reaches the goal, which gives 0 and terminates.

    Andrychowicz et al., Hindsight experience replay, 2017, section 3.1 (https://arxiv.org/abs/1707.01495). Bits and
    goal are drawn evenly; the episode is cut short after as many steps as there are bits (`max_steps` None). Where d
    bits differ at first, the best score is 1 - d (-1 for d = 0), on average 1 - bits / 2, but for 2^(1 - bits) less.
    Observation: {"observation", "achieved_goal", "desired_goal"}, each float32 [bits]; the first two are the same.
    For `Hindsight`, a goal is reached where the two are `Equal(terminates=True)`.
    """

    bits: Count = 10
    max_steps: Count | None = None  # None: as many as there are bits

    frames_per_second = 4

    @property
    def spec(self) -> Spec:
        row = Box((self.bits,), 0.0, 1.0)
        return Spec({"observation": row, "achieved_goal": row, "desired_goal": row}, Discrete(self.bits))

    def reset(self, key: Array) -> tuple[BitFlippingState, dict[str, Array]]:
        bits_key, goal_key = jax.random.split(key)
        bits, goal = (jax.random.bernoulli(k, shape=(self.bits,)) for k in (bits_key, goal_key))
        state = BitFlippingState(bits.astype(jnp.float32), goal.astype(jnp.float32), jnp.int32(0))
        return state, _show(state)

    def step(self, env_state: BitFlippingState, action: Array, key: Array) -> tuple[BitFlippingState, Outcome]:
        bits = jnp.where(jnp.arange(self.bits) == action, 1 - env_state.bits, env_state.bits)
        state = BitFlippingState(bits, env_state.goal, env_state.time + 1)
        reached = (bits == env_state.goal).all()
        late = state.time >= (self.bits if self.max_steps is None else self.max_steps)
        discount = 1 - reached.astype(jnp.float32)
        return state, Outcome(_show(state), -discount, discount, reached | late)

    def render(self, env_state: BitFlippingState) -> np.ndarray:
        """A picture, uint8 [80, 40 * bits, 3]: the bits above, the goal below; a bit that is wrong is orange."""
        bits, goal = (np.asarray(row) > 0.5 for row in env_state[:2])
        image = canvas(80, 40 * self.bits, (250, 247, 240))
        for i in range(self.bits):
            colour = (74, 78, 92) if bits[i] == goal[i] else (242, 152, 46)
            for row, on in ((20, bits[i]), (60, goal[i])):
                paint(image, box(image, (row, 40 * i + 20), 30, 30, 5), colour if row == 20 else (44, 84, 130))
                if not on:
                    paint(image, box(image, (row, 40 * i + 20), 22, 22, 3), (250, 247, 240))
        return image

    def text(self, env_state: BitFlippingState) -> str:
        """Bits above, the goal below."""
        return "\n".join("".join(str(int(bit)) for bit in np.asarray(row)) for row in env_state[:2])


def _show(state: BitFlippingState) -> dict[str, Any]:
    return {"observation": state.bits, "achieved_goal": state.bits, "desired_goal": state.goal}
