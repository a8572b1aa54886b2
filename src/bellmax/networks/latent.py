"""A model of the world that never draws it: what it predicts is what planning asks for, and nothing else."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.encoder import Torso
from bellmax.networks.mlp import MLP, Activation, Dense
from bellmax.networks.value_networks import choices
from bellmax.spaces import Space, Tree

PREDICTED = 0.01  # scale of the heads: at first all rewards, values and actions look alike


class LatentModel(eqx.Module):
    """Representation h, dynamics g and prediction f (Schrittwieser et al., 2020, https://arxiv.org/abs/1911.08265).

    A latent is [size], its numbers spread over 0 .. 1 (appendix G). Rewards and values are logits of `atoms`.
    """

    representation: Torso
    root: Dense
    dynamics: MLP
    successor: Dense
    reward: Dense
    prediction: MLP
    policy: Dense
    value: Dense
    actions: int = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        obs: Tree,
        action: Space,
        hidden: tuple[int, ...],
        size: int,
        atoms: int,
        activation: Activation = "relu",
    ):
        keys = iter(jax.random.split(key, 8))
        self.actions = choices(action)
        self.representation = Torso(next(keys), obs, hidden, activation)
        self.root = Dense(next(keys), self.representation.size, size)
        self.dynamics = MLP(next(keys), (size + self.actions, *hidden), activation)
        self.successor = Dense(next(keys), hidden[-1] if hidden else size + self.actions, size)
        self.reward = Dense(next(keys), hidden[-1] if hidden else size + self.actions, atoms, PREDICTED)
        self.prediction = MLP(next(keys), (size, *hidden), activation)
        features = hidden[-1] if hidden else size
        self.policy = Dense(next(keys), features, self.actions, PREDICTED)
        self.value = Dense(next(keys), features, atoms, PREDICTED)

    def represent(self, obs: Any) -> Array:
        """h: an observation -> its latent [size]."""
        return spread(self.root(self.representation(obs)))

    def step(self, latent: Array, action: Array) -> tuple[Array, Array]:
        """g: latent [size], action -> the latent behind it [size], the reward's logits [atoms]."""
        features = self.dynamics(jnp.concatenate([latent, jax.nn.one_hot(action, self.actions)]))
        return spread(self.successor(features)), self.reward(features)

    def predict(self, latent: Array) -> tuple[Array, Array]:
        """f: latent [size] -> the policy's logits [actions], the value's [atoms]. No action is illegal in a latent."""
        features = self.prediction(latent)
        return self.policy(features), self.value(features)


def spread(latent: Array) -> Array:
    """The numbers [size] with the least at 0 and the largest at 1: as large as an action's (appendix G)."""
    low, high = latent.min(), latent.max()
    return (latent - low) / (high - low + 1e-5)
