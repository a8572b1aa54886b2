"""A critic and a policy with batch renormalisation. They learn from a batch as a whole, and act on one observation."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.distributions import TanhNormal
from bellmax.networks.actors import LOG_STD
from bellmax.networks.batch_renorm import RenormMLP, Running
from bellmax.networks.bounds import numbers, to_box, to_unit
from bellmax.networks.encoder import Encoder
from bellmax.networks.mlp import Activation, Dense
from bellmax.spaces import Space, Tree


class RenormCritic(eqx.Module):
    """Observations and actions [batch, actions] of the box -> Q [batch]. It sees the actions in -1 .. 1."""

    encoder: Encoder
    mlp: RenormMLP
    head: Dense
    space: Space = eqx.field(static=True)

    def __init__(self, key: Array, obs: Tree, action: Space, hidden: tuple[int, ...], activation: Activation = "relu"):
        encoder_key, mlp_key, head_key = jax.random.split(key, 3)
        self.encoder, self.space = Encoder(encoder_key, obs), action
        self.mlp = RenormMLP(mlp_key, (self.encoder.size + numbers(action).shape[0], *hidden), activation)
        self.head = Dense(head_key, hidden[-1], 1)

    def __call__(self, obs: Any, action: Array, running: list[Running]) -> Array:
        """By the running statistics."""
        return self.head(self.mlp(self._joined(obs, action), running))[:, 0]

    def learning(self, obs: Any, action: Array, running: list[Running], weight: Array) -> tuple[Array, list[Running]]:
        """By the statistics of the batch -> Q [batch], the running statistics moved."""
        features, running = self.mlp.learning(self._joined(obs, action), running, weight)
        return self.head(features)[:, 0], running

    def _joined(self, obs: Any, action: Array) -> Array:
        return jnp.concatenate([jax.vmap(self.encoder)(obs), to_unit(self.space, action)], axis=-1)


class RenormActor(eqx.Module):
    """An observation -> a normal squashed by tanh, in -1 .. 1; `stretch` makes actions of the box of them."""

    encoder: Encoder
    mlp: RenormMLP
    mean: Dense
    log_std: Dense
    space: Space = eqx.field(static=True)

    def __init__(self, key: Array, obs: Tree, action: Space, hidden: tuple[int, ...], activation: Activation = "relu"):
        encoder_key, mlp_key, mean_key, std_key = jax.random.split(key, 4)
        size, self.space = numbers(action).shape[0], action
        self.encoder = Encoder(encoder_key, obs)
        self.mlp = RenormMLP(mlp_key, (self.encoder.size, *hidden), activation)
        self.mean = Dense(mean_key, hidden[-1], size, 0.01)
        self.log_std = Dense(std_key, hidden[-1], size, 0.01)

    def __call__(self, obs: Any, running: list[Running]) -> TanhNormal:
        """ONE observation, by the running statistics."""
        return self._policy(self.mlp(self.encoder(obs), running))

    def learning(self, obs: Any, running: list[Running], weight: Array) -> tuple[TanhNormal, list[Running]]:
        """Observations [batch, ...], by their own statistics -> policies [batch], the running statistics moved."""
        features, running = self.mlp.learning(jax.vmap(self.encoder)(obs), running, weight)
        return self._policy(features), running

    def stretch(self, unit: Array) -> Array:
        """Actions in -1 .. 1 -> actions of the box."""
        return to_box(self.space, unit)

    def _policy(self, features: Array) -> TanhNormal:
        low, high = LOG_STD
        log_std = low + 0.5 * (high - low) * (jnp.tanh(self.log_std(features)) + 1)
        return TanhNormal(self.mean(features), log_std)
