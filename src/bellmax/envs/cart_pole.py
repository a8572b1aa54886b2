"""CartPole: keep a pole upright on a cart; Gymnasium's CartPole-v1 in float32."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.picture import box, canvas, disc, paint, rod
from bellmax.ranges import Count, Positive
from bellmax.spaces import Box, Discrete

POSITION_LIMIT = 2.4  # m; the episode ends beyond
ANGLE_LIMIT = 12 * 2 * math.pi / 360  # rad


class CartPoleState(NamedTuple):
    """The physical state and the time."""

    motion: Array  # float32 [4]: position (m), velocity (m/s), angle from upright (rad), angular velocity (rad/s)
    time: Array  # int32, steps taken in this episode


class CartPole(Env):
    """Push the cart left (0) or right (1); 1 for every step, the one on which the pole falls included.

    Barto, Sutton & Anderson, Neuronlike adaptive elements that can solve difficult learning control problems, 1983
    (https://doi.org/10.1109/TSMC.1983.6313077), with Gymnasium's constants and its explicit Euler step. The episode
    ends when the cart is more than 2.4 m from the middle or the pole more than 12 degrees from upright, and is cut
    short after `max_steps`. Observation: the physical state, float32 [4].
    https://gymnasium.farama.org/environments/classic_control/cart_pole/
    """

    gravity: Positive = 9.8  # m/s^2
    cart_mass: Positive = 1.0  # kg
    pole_mass: Positive = 0.1  # kg
    half_length: Positive = 0.5  # m, from the axle to the pole's middle
    force: Positive = 10.0  # N
    time_step: Positive = 0.02  # s
    max_steps: Count = 500

    frames_per_second = 50

    @property
    def spec(self) -> Spec:
        high = (2 * POSITION_LIMIT, math.inf, 2 * ANGLE_LIMIT, math.inf)
        return Spec(Box((4,), tuple(-bound for bound in high), high), Discrete(2))

    def reset(self, key: Array) -> tuple[CartPoleState, Array]:
        motion = jax.random.uniform(key, (4,), jnp.float32, -0.05, 0.05)
        return CartPoleState(motion, jnp.int32(0)), motion

    def step(self, env_state: CartPoleState, action: Array, key: Array) -> tuple[CartPoleState, Outcome]:
        motion, time = self._euler(env_state.motion, action), env_state.time + 1
        fallen = (jnp.abs(motion[0]) > POSITION_LIMIT) | (jnp.abs(motion[2]) > ANGLE_LIMIT)
        outcome = Outcome(motion, jnp.float32(1), 1 - fallen.astype(jnp.float32), fallen | (time >= self.max_steps))
        return CartPoleState(motion, time), outcome

    def state_of(self, obs: Array) -> CartPoleState:
        """The state that shows an observation, at the start of an episode."""
        return CartPoleState(obs, jnp.int32(0))

    def _euler(self, motion: Array, action: Array) -> Array:
        _, velocity, angle, spin = motion
        force = jnp.where(action == 1, self.force, -self.force)
        total_mass, moment = self.cart_mass + self.pole_mass, self.pole_mass * self.half_length
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        push = (force + moment * spin**2 * sine) / total_mass
        inertia = self.half_length * (4 / 3 - self.pole_mass * cosine**2 / total_mass)
        spin_up = (self.gravity * sine - cosine * push) / inertia
        speed_up = push - moment * spin_up * cosine / total_mass
        return motion + self.time_step * jnp.stack([velocity, speed_up, spin, spin_up])

    def render(self, env_state: CartPoleState) -> np.ndarray:
        """A picture, uint8 [400, 640, 3]; the pole is drawn 1 m long whatever its length."""
        position, _, angle, _ = np.asarray(env_state.motion, np.float64)
        scale, floor = 640 / (2 * POSITION_LIMIT + 0.6), 300.0  # pixels a metre, and the row of the axle
        column = 320 + scale * position
        tip = floor - 15 - scale * math.cos(angle), column + scale * math.sin(angle)
        image = canvas(400, 640, (250, 247, 240))
        paint(image, box(image, (floor + 22, 320), 3, 640), (168, 172, 184))
        for end in (-POSITION_LIMIT, POSITION_LIMIT):
            paint(image, box(image, (floor + 22, 320 + scale * end), 24, 4, 2), (226, 106, 96))
        paint(image, box(image, (floor, column), 40, 76, 8), (74, 78, 92))
        paint(image, rod(image, (floor - 15, column), tip, 6), (242, 152, 46))
        paint(image, disc(image, (floor - 15, column), 5), (44, 84, 130))
        return image
