"""Models of what actions do, in a space of features."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.encoder import Encoder
from bellmax.networks.heads import Policy, PolicyHead
from bellmax.networks.mlp import MLP, Activation, Dense
from bellmax.networks.predictor import Predictor
from bellmax.spaces import Space, Tree


class Dynamics(eqx.Module):
    """Features of an observation, which action lies between two of them, and where an action leads from one.

    Forward and inverse model of Pathak et al., 2017 (https://arxiv.org/abs/1705.05363, section 2).
    """

    features: Predictor  # phi
    inverse: MLP
    action: PolicyHead
    encoder: Encoder  # of actions
    forward: MLP
    head: Dense

    def __init__(
        self,
        key: Array,
        obs: Tree,
        action: Space,
        hidden: tuple[int, ...],
        features: int,
        activation: Activation = "relu",
    ):
        features_key, inverse_key, action_key, encoder_key, forward_key, head_key = jax.random.split(key, 6)
        self.features = Predictor(features_key, obs, hidden, features, activation)
        self.inverse = MLP(inverse_key, (2 * features, *hidden), activation)
        self.action = PolicyHead(action_key, hidden[-1] if hidden else 2 * features, action, 1.0)
        self.encoder = Encoder(encoder_key, action)
        inputs = features + self.encoder.size
        self.forward = MLP(forward_key, (inputs, *hidden), activation)
        self.head = Dense(head_key, hidden[-1] if hidden else inputs, features)

    def what_was_done(self, now: Array, then: Array) -> Policy:
        """The actions that may lie between two features [features]."""
        return self.action(self.inverse(jnp.concatenate([now, then])))

    def foresee(self, now: Array, action: Any) -> Array:
        """The features after an action -> [features]."""
        return self.head(self.forward(jnp.concatenate([now, self.encoder(action)])))
