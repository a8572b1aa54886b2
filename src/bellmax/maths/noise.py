"""Noise that is added to continuous actions, as interchangeable parts. Actions are measured in -1 .. 1.

An algorithm has a field `noise` and asks

    begin(size)                -> what the noise remembers at an episode's start
    draw(memory, key, steps)   -> noise [size], what it remembers now

size     numbers in an action
steps    environment steps so far: the clock of the schedules
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.maths.schedules import Scheduled, at
from bellmax.ranges import NonNegative, Positive


class Last(NamedTuple):
    """The noise that was drawn last."""

    noise: Array  # [size]


class GaussianNoise(Frozen):
    """Independent normals: the same in every step."""

    std: Scheduled = 0.1  # standard deviation, where actions reach from -1 to 1

    def begin(self, size: int) -> Last:
        return Last(jnp.zeros(size))

    def draw(self, memory: Last, key: Array, steps: Array) -> tuple[Array, Last]:
        noise = at(self.std, steps) * jax.random.normal(key, memory.noise.shape)
        return noise, Last(noise)


class OrnsteinUhlenbeck(Frozen):
    """Noise that drifts: dx = -theta x dt + sigma dW, in steps of Euler's from x = 0 at an episode's start,

        x <- (1 - theta dt) x + sigma sqrt(dt) N(0, 1)

    (Uhlenbeck & Ornstein, 1930, https://doi.org/10.1103/PhysRev.36.823). Far from the start its variance is
    sigma^2 / (theta (2 - theta dt)), and two noises k steps apart are correlated by (1 - theta dt)^k.
    """

    theta: NonNegative = 0.15  # how strongly it is drawn back to 0
    sigma: Scheduled = 0.2  # how strongly it is shaken, where actions reach from -1 to 1
    dt: Positive = 1.0  # time between two steps

    def begin(self, size: int) -> Last:
        return Last(jnp.zeros(size))

    def draw(self, memory: Last, key: Array, steps: Array) -> tuple[Array, Last]:
        shake = at(self.sigma, steps) * jnp.sqrt(self.dt) * jax.random.normal(key, memory.noise.shape)
        noise = (1 - self.theta * self.dt) * memory.noise + shake
        return noise, Last(noise)


Noise = GaussianNoise | OrnsteinUhlenbeck


def smoothed(unit: Array, key: Array, std: float | Array, most: float | Array) -> Array:
    """Actions in -1 .. 1 with normal noise that is at most `most`, cut to -1 .. 1 again.

    Where a target asks the critics about these, actions near each other have similar values (TD3; Fujimoto et al.,
    2018, https://arxiv.org/abs/1802.09477, eq. 14).
    """
    noise = jnp.clip(std * jax.random.normal(key, unit.shape), -most, most)
    return jnp.clip(unit + noise, -1, 1)
