"""MountainCar: an engine too weak for the hill; Gymnasium's MountainCar-v0 in float32."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.picture import canvas, disc, paint, rod
from bellmax.ranges import Count, NonNegative, Positive
from bellmax.spaces import Box, Discrete

LEFT_END, RIGHT_END = -1.2, 0.6  # positions; the wall on the left stops the car
FASTEST = 0.07  # a step
GOAL = 0.5  # position


class MountainCarState(NamedTuple):
    """The physical state and the time."""

    motion: Array  # float32 [2]: position, velocity (a step)
    time: Array  # int32, steps taken in this episode


class MountainCar(Env):
    """Reach the top on the right: 0 drive left, 1 roll, 2 drive right; -1 for every step. Swing up to get there.

    Moore, Efficient memory-based learning for robot control, 1990, as in Sutton & Barto, Reinforcement Learning, 2nd
    edition, Example 10.1 (http://incompleteideas.net/book/the-book-2nd.html). An episode starts at rest at -0.6 to
    -0.4, drawn evenly, ends at 0.5, and is cut short after `max_steps`; the book's goes on (`max_steps=None`).
    Observation: position and velocity, float32 [2]. https://gymnasium.farama.org/environments/classic_control/mountain_car/
    """

    force: Positive = 0.001  # what the engine adds to the velocity in a step
    gravity: Positive = 0.0025  # what the steepest slope adds
    goal_velocity: NonNegative = 0.0  # to arrive with, at least
    max_steps: Count | None = 200

    frames_per_second = 30

    @property
    def spec(self) -> Spec:
        return Spec(Box((2,), (LEFT_END, -FASTEST), (RIGHT_END, FASTEST)), Discrete(3))

    def reset(self, key: Array) -> tuple[MountainCarState, Array]:
        motion = jnp.stack([jax.random.uniform(key, (), jnp.float32, -0.6, -0.4), jnp.float32(0)])
        return MountainCarState(motion, jnp.int32(0)), motion

    def step(self, env_state: MountainCarState, action: Array, key: Array) -> tuple[MountainCarState, Outcome]:
        position, velocity = env_state.motion
        velocity = velocity + (action - 1) * self.force - self.gravity * jnp.cos(3 * position)
        velocity = jnp.clip(velocity, -FASTEST, FASTEST)
        position = jnp.clip(position + velocity, LEFT_END, RIGHT_END)
        velocity = jnp.where((position <= LEFT_END) & (velocity < 0), 0, velocity)
        motion, time = jnp.stack([position, velocity]), env_state.time + 1
        arrived = (position >= GOAL) & (velocity >= self.goal_velocity)
        last = arrived if self.max_steps is None else arrived | (time >= self.max_steps)
        outcome = Outcome(motion, jnp.float32(-1), 1 - arrived.astype(jnp.float32), last)
        return MountainCarState(motion, time), outcome

    def state_of(self, obs: Array) -> MountainCarState:
        """The state that shows an observation, at the start of an episode."""
        return MountainCarState(obs, jnp.int32(0))

    def render(self, env_state: MountainCarState) -> np.ndarray:
        """A picture, uint8 [400, 640, 3]: the hill, the car, and a flag at the goal."""
        image = canvas(400, 640, (250, 247, 240))
        hill = np.array([_on_hill(position)[0] for position in np.linspace(LEFT_END, RIGHT_END, 640)])
        image[np.arange(400)[:, None] > hill] = (168, 172, 184)
        row, column = _on_hill(GOAL)
        paint(image, rod(image, (row, column), (row - 60, column), 1.5), (74, 78, 92))
        paint(image, rod(image, (row - 53, column), (row - 53, column + 22), 7), (122, 194, 132))
        position = float(env_state.motion[0])
        row, column = _on_hill(position)
        slope = math.atan2(-270 * math.cos(3 * position), 640 / (RIGHT_END - LEFT_END))  # of the picture's hill
        along, up = (math.sin(slope), math.cos(slope)), (-math.cos(slope), math.sin(slope))
        for side in (-14, 14):
            wheel = row + side * along[0] + 7 * up[0], column + side * along[1] + 7 * up[1]
            paint(image, disc(image, wheel, 7), (74, 78, 92))
        back, front = ((row + s * along[0] + 18 * up[0], column + s * along[1] + 18 * up[1]) for s in (-16, 16))
        paint(image, rod(image, back, front, 8), (242, 152, 46))
        return image


def _on_hill(position: float) -> tuple[float, float]:
    """Where a position is in the picture -> row, column. The hill's height is sin(3 position)."""
    height = 90 * math.sin(3 * position) + 130
    return 400 - height, 640 * (position - LEFT_END) / (RIGHT_END - LEFT_END)
