"""Policies over continuous actions with bounds."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.distributions import TanhNormal
from bellmax.networks.bounds import numbers, to_box
from bellmax.networks.encoder import Torso
from bellmax.networks.mlp import Activation, Dense
from bellmax.spaces import Space, Tree

LOG_STD = -5.0, 2.0  # the least and the largest


class TanhActor(eqx.Module):
    """An observation -> a normal squashed by tanh, in -1 .. 1; `stretch` makes actions of the box of them.

    Its deviation depends on the observation.
    """

    torso: Torso
    mean: Dense
    log_std: Dense
    space: Space = eqx.field(static=True)

    def __init__(self, key: Array, obs: Tree, action: Space, hidden: tuple[int, ...], activation: Activation = "relu"):
        torso_key, mean_key, std_key = jax.random.split(key, 3)
        size, self.space = numbers(action).shape[0], action
        self.torso = Torso(torso_key, obs, hidden, activation)
        self.mean = Dense(mean_key, self.torso.size, size, 0.01)
        self.log_std = Dense(std_key, self.torso.size, size, 0.01)

    def __call__(self, obs: Any) -> TanhNormal:
        features = self.torso(obs)
        low, high = LOG_STD
        log_std = low + 0.5 * (high - low) * (jnp.tanh(self.log_std(features)) + 1)
        return TanhNormal(self.mean(features), log_std)

    def stretch(self, unit: Array) -> Array:
        """Actions in -1 .. 1 -> actions of the box."""
        return to_box(self.space, unit)

    def draw(self, obs: Any, key: Array) -> tuple[Array, Array]:
        """Actions of the box and their log-densities in -1 .. 1, one an observation: [batch, n], [batch]."""
        policy = jax.vmap(self)(obs)  # vmap has made arrays of its bounds too
        unit, log_prob = TanhNormal(policy.mean, policy.log_std).sample_with_log_prob(key)
        return self.stretch(unit), log_prob


class Actor(eqx.Module):
    """An observation -> an action of the box: tanh of a dense layer, stretched."""

    torso: Torso
    head: Dense
    space: Space = eqx.field(static=True)

    def __init__(self, key: Array, obs: Tree, action: Space, hidden: tuple[int, ...], activation: Activation = "relu"):
        torso_key, head_key = jax.random.split(key)
        size, self.space = numbers(action).shape[0], action
        self.torso = Torso(torso_key, obs, hidden, activation)
        self.head = Dense(head_key, self.torso.size, size, 0.01)

    def __call__(self, obs: Any) -> Array:
        return to_box(self.space, jnp.tanh(self.head(self.torso(obs))))
