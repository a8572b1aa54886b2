"""Pendulum: swing a rod up and hold it there; Gymnasium's Pendulum-v1 in float32."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.picture import canvas, disc, paint, rod
from bellmax.ranges import Count, Positive
from bellmax.spaces import Box

STRONGEST = 2.0  # N m; a torque beyond is cut to it
FASTEST = 8.0  # rad/s


class PendulumState(NamedTuple):
    """The physical state and the time."""

    motion: Array  # float32 [2]: angle from upright (rad, any number of turns), angular velocity (rad/s)
    time: Array  # int32, steps taken in this episode


class Pendulum(Env):
    """Turn the rod's axle with a torque of -2 to 2 N m, too little to lift it in one swing.

    The reward, -16.27 to 0, is -(angle^2 + 0.1 velocity^2 + 0.001 torque^2) of the state before the step, the angle
    from upright in -pi to pi. Starts at any angle at -1 to 1 rad/s, drawn evenly. Nothing terminates; the episode is
    cut short after `max_steps`. Observation: cosine and sine of the angle, and the velocity, float32 [3].
    Equal to https://gymnasium.farama.org/environments/classic_control/pendulum/
    """

    gravity: Positive = 10.0  # m/s^2
    mass: Positive = 1.0  # kg
    length: Positive = 1.0  # m
    time_step: Positive = 0.05  # s
    max_steps: Count = 200

    frames_per_second = 20

    @property
    def spec(self) -> Spec:
        return Spec(Box((3,), (-1, -1, -FASTEST), (1, 1, FASTEST)), Box((1,), -STRONGEST, STRONGEST))

    def reset(self, key: Array) -> tuple[PendulumState, Array]:
        motion = jax.random.uniform(key, (2,), jnp.float32, -1, 1) * jnp.array([math.pi, 1], jnp.float32)
        return PendulumState(motion, jnp.int32(0)), _show(motion)

    def step(self, env_state: PendulumState, action: Array, key: Array) -> tuple[PendulumState, Outcome]:
        angle, velocity = env_state.motion
        angle = (angle + math.pi) % (2 * math.pi) - math.pi
        torque = jnp.clip(action[0], -STRONGEST, STRONGEST)
        cost = angle**2 + 0.1 * velocity**2 + 0.001 * torque**2
        pull = 1.5 * self.gravity / self.length * jnp.sin(angle)
        velocity = velocity + self.time_step * (pull + 3 / (self.mass * self.length**2) * torque)
        velocity = jnp.clip(velocity, -FASTEST, FASTEST)
        motion, time = jnp.stack([angle + self.time_step * velocity, velocity]), env_state.time + 1
        return PendulumState(motion, time), Outcome(_show(motion), -cost, jnp.float32(1), time >= self.max_steps)

    def state_of(self, obs: Array) -> PendulumState:
        """The state that shows an observation, at the start of an episode."""
        return PendulumState(jnp.stack([jnp.arctan2(obs[1], obs[0]), obs[2]]), jnp.int32(0))

    def render(self, env_state: PendulumState) -> np.ndarray:
        """A picture, uint8 [400, 400, 3]; the rod is drawn with one length whatever it is."""
        angle = float(env_state.motion[0])
        image = canvas(400, 400, (250, 247, 240))
        tip = 200 - 150 * math.cos(angle), 200 - 150 * math.sin(angle)  # positive angles turn against the clock
        paint(image, rod(image, (200, 200), tip, 12), (242, 152, 46))
        paint(image, disc(image, (200, 200), 7), (74, 78, 92))
        return image


def _show(motion: Array) -> Array:
    return jnp.stack([jnp.cos(motion[0]), jnp.sin(motion[0]), motion[1]])
