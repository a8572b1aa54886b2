"""CartPole as a small picture, in which speeds cannot be seen."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.cart_pole import POSITION_LIMIT, CartPole, CartPoleState
from bellmax.ranges import Count
from bellmax.spaces import Box


class PixelCartPole(Env):
    """`CartPole`, observed as a grey picture, uint8 [size, size, 1], drawn in the graph.

    A bright cart and pole on black, with soft edges; the limits of the track are near the sides. The pole is drawn
    three quarters of the picture long, so that its few degrees can be seen. Speeds cannot be seen in one picture.
    """

    physics: CartPole = CartPole()
    size: Count = 32  # pixels of a side

    @property
    def spec(self) -> Spec:
        return Spec(Box((self.size, self.size, 1), 0, 255, "uint8"), self.physics.spec.action)

    def reset(self, key: Array) -> tuple[CartPoleState, Array]:
        env_state, motion = self.physics.reset(key)
        return env_state, self.picture(motion)

    def step(self, env_state: CartPoleState, action: Array, key: Array) -> tuple[CartPoleState, Outcome]:
        env_state, outcome = self.physics.step(env_state, action, key)
        return env_state, outcome._replace(obs=self.picture(outcome.obs))

    def picture(self, motion: Array) -> Array:
        """Physical state [4] -> uint8 [size, size, 1]: signed distances to a box and a rod, as in `envs/picture.py`."""
        side, unit = self.size, self.size / 32
        row, column = jnp.meshgrid(jnp.arange(side) + 0.5, jnp.arange(side) + 0.5, indexing="ij")
        at, axle = side / 2 * (1 + 0.8 * motion[0] / POSITION_LIMIT), side - 4 * unit
        cart = jnp.maximum(jnp.abs(row - axle - 1.5 * unit) - 1.5 * unit, jnp.abs(column - at) - 3 * unit)
        up, across = -0.75 * side * jnp.cos(motion[2]), 0.75 * side * jnp.sin(motion[2])
        share = jnp.clip(((row - axle) * up + (column - at) * across) / (0.75 * side) ** 2, 0, 1)
        pole = jnp.hypot(row - axle - share * up, column - at - share * across) - unit
        cover = jnp.clip(0.5 - jnp.minimum(cart, pole), 0, 1)
        return jnp.round(255 * cover).astype(jnp.uint8)[..., None]

    def render(self, env_state: Any) -> np.ndarray:
        """The large picture of `CartPole`, uint8 [400, 640, 3]."""
        return self.physics.render(env_state)
