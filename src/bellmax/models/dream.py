"""DreamerV3's world model as an environment, so that what happens in the one can happen in the other."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.models.rssm import Latent
from bellmax.models.world_model import WorldModel, mean_of
from bellmax.ranges import Unit
from bellmax.spaces import Box


class Dream(Env):
    """The world as the model foresees it: nobody looks.

    The state is the latent state, the observation its features [h, z], the reward the one that is expected, and
    `discount` the probability of going on. An episode has no last step: what is behind an end counts for less.
    """

    world: WorldModel
    unimix: Unit = 0.01  # how much of all choices is drawn evenly

    @property
    def spec(self) -> Spec:
        return Spec(Box((self.world.rssm.size.features,)), self.world.action)

    def reset(self, key: Array) -> tuple[Latent, Array]:
        """A first sight, as it is foreseen."""
        latent = self.world.foresee(self.world.rssm.begin(), jnp.zeros(self.world.actions.size), key, self.unimix)
        return latent, latent.features

    def step(self, env_state: Latent, action: Any, key: Array) -> tuple[Latent, Outcome]:
        latent = self.world.foresee(env_state, self.world.as_numbers(action), key, self.unimix)
        features = latent.features
        discount = jax.nn.sigmoid(self.world.continuation(features))
        return latent, Outcome(features, mean_of(self.world.reward(features)), discount, jnp.bool_(False))
