"""Acrobot: two links, a motor at the elbow alone; Gymnasium's Acrobot-v1 in float32."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.picture import box, canvas, disc, paint, rod
from bellmax.ranges import Count, Positive
from bellmax.spaces import Box, Discrete

FASTEST = (4 * math.pi, 9 * math.pi)  # rad/s, the first link and the second


class AcrobotState(NamedTuple):
    """The physical state and the time."""

    motion: Array  # float32 [4]: the first angle (rad, 0 hangs down), the second one's beyond it, their velocities
    time: Array  # int32, steps taken in this episode


class Acrobot(Env):
    """Swing the far end a link's length above the axle: torque -1 (0), none (1) or +1 N m (2); -1 a step, 0 at the end.

    Sutton, Generalization in reinforcement learning: successful examples using sparse coarse coding, 1996
    (https://papers.nips.cc/paper/1995/hash/8f1d43620bc6bb580df6e80b0dc05c48-Abstract.html), with the equations of
    Sutton & Barto's book and one step of fourth-order Runge-Kutta. Both links are 1 m long, their mass in the middle.
    Starts with angles and velocities in -0.1 to 0.1, drawn evenly; cut short after `max_steps`. Observation: cosine and
    sine of each angle, then the velocities, float32 [6].
    Equal to https://gymnasium.farama.org/environments/classic_control/acrobot/
    """

    gravity: Positive = 9.8  # m/s^2
    first_mass: Positive = 1.0  # kg
    second_mass: Positive = 1.0  # kg
    torque: Positive = 1.0  # N m
    time_step: Positive = 0.2  # s
    equations: Literal["book", "paper"] = "book"  # the paper's print lacks a term, which its experiments had
    max_steps: Count = 500

    frames_per_second = 15

    @property
    def spec(self) -> Spec:
        high = (1.0, 1.0, 1.0, 1.0, *FASTEST)
        return Spec(Box((6,), tuple(-bound for bound in high), high), Discrete(3))

    def reset(self, key: Array) -> tuple[AcrobotState, Array]:
        motion = jax.random.uniform(key, (4,), jnp.float32, -0.1, 0.1)
        return AcrobotState(motion, jnp.int32(0)), _show(motion)

    def step(self, env_state: AcrobotState, action: Array, key: Array) -> tuple[AcrobotState, Outcome]:
        motion, time = self._runge_kutta(env_state.motion, (action - 1) * self.torque), env_state.time + 1
        angles = (motion[:2] + math.pi) % (2 * math.pi) - math.pi
        motion = jnp.concatenate([angles, jnp.clip(motion[2:], -jnp.array(FASTEST), jnp.array(FASTEST))])
        risen = -jnp.cos(motion[0]) - jnp.cos(motion[0] + motion[1]) > 1
        discount = 1 - risen.astype(jnp.float32)
        return AcrobotState(motion, time), Outcome(_show(motion), -discount, discount, risen | (time >= self.max_steps))

    def state_of(self, obs: Array) -> AcrobotState:
        """The state that shows an observation, at the start of an episode."""
        angles = jnp.arctan2(obs[1], obs[0]), jnp.arctan2(obs[3], obs[2])
        return AcrobotState(jnp.stack([*angles, obs[4], obs[5]]), jnp.int32(0))

    def _runge_kutta(self, motion: Array, torque: Array) -> Array:
        half = self.time_step / 2
        k1 = self._change(motion, torque)
        k2 = self._change(motion + half * k1, torque)
        k3 = self._change(motion + half * k2, torque)
        k4 = self._change(motion + self.time_step * k3, torque)
        return motion + self.time_step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def _change(self, motion: Array, torque: Array) -> Array:
        """The derivative of the motion by time [4]; d1, d2, phi1 and phi2 are the book's."""
        angle, elbow, velocity, elbow_velocity = motion
        cosine, sine = jnp.cos(elbow), jnp.sin(elbow)
        d1 = 0.25 * self.first_mass + self.second_mass * (1.25 + cosine) + 2  # 2: a moment of 1 kg m^2 for each link
        d2 = self.second_mass * (0.25 + 0.5 * cosine) + 1
        phi2 = 0.5 * self.second_mass * self.gravity * jnp.sin(angle + elbow)
        whirl = 0.5 * self.second_mass * sine
        phi1 = -whirl * elbow_velocity * (elbow_velocity + 2 * velocity) + phi2
        phi1 += (0.5 * self.first_mass + self.second_mass) * self.gravity * jnp.sin(angle)
        push = torque + d2 / d1 * phi1 - phi2 - (whirl * velocity**2 if self.equations == "book" else 0)
        elbow_speed_up = push / (0.25 * self.second_mass + 1 - d2**2 / d1)
        return jnp.stack([velocity, elbow_velocity, -(d2 * elbow_speed_up + phi1) / d1, elbow_speed_up])

    def render(self, env_state: AcrobotState) -> np.ndarray:
        """A picture, uint8 [400, 400, 3]: the links, and the line to reach."""
        angle, elbow = (float(x) for x in env_state.motion[:2])
        image = canvas(400, 400, (250, 247, 240))
        paint(image, box(image, (200 - 85, 200), 3, 400), (122, 194, 132))
        middle = 200 + 85 * math.cos(angle), 200 + 85 * math.sin(angle)
        tip = middle[0] + 85 * math.cos(angle + elbow), middle[1] + 85 * math.sin(angle + elbow)
        paint(image, rod(image, (200, 200), middle, 8), (74, 78, 92))
        paint(image, rod(image, middle, tip, 8), (242, 152, 46))
        paint(image, disc(image, (200, 200), 4), (44, 84, 130))
        return image


def _show(motion: Array) -> Array:
    angle, elbow = motion[0], motion[1]
    return jnp.stack([jnp.cos(angle), jnp.sin(angle), jnp.cos(elbow), jnp.sin(elbow), motion[2], motion[3]])
