"""An episode as a sentence: return-to-go, observation, action, return-to-go, ... and which action comes next."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.bounds import numbers, to_box, to_unit
from bellmax.networks.encoder import Encoder
from bellmax.networks.heads import PolicyHead
from bellmax.networks.mlp import Activation, Dense
from bellmax.networks.normed import LayerNorm
from bellmax.networks.transformer import Transformer, by_rows, dropped
from bellmax.spaces import Box, Space, Tree


class Stretch(NamedTuple):
    """Steps that follow each other, [batch, time, ...]."""

    to_go: Array  # the return that is still to come, scaled
    obs: Any
    action: Any
    time: Array  # the step's number in its episode
    weight: Array  # 0 for padding


class TrajectoryNetwork(eqx.Module):
    """Decision Transformer's network (Chen et al., 2021, https://arxiv.org/abs/2106.01345, section 3).

    Three tokens a step, (R, s, a), each a linear map of what it stands for plus a learned vector of the step's time;
    the action is read from the token of the observation, which sees everything before it and the return that is asked.
    """

    encoder: Encoder
    action_encoder: Encoder
    embed_obs: Dense
    embed_action: Dense
    embed_return: Dense
    times: Array  # [longest, width]
    norm: LayerNorm
    transformer: Transformer
    head: Any  # a PolicyHead, or, of numbers, a Dense
    space: Space = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        obs: Tree,
        action: Space,
        width: int,
        heads: int,
        layers: int,
        longest: int,
        activation: Activation = "relu",
    ):
        keys = jax.random.split(key, 8)
        self.space = numbers(action) if isinstance(action, Box) else action
        self.encoder, self.action_encoder = Encoder(keys[0], obs), Encoder(keys[1], action)
        self.embed_obs = Dense(keys[2], self.encoder.size, width)
        self.embed_action = Dense(keys[3], self.action_encoder.size, width)
        self.embed_return = Dense(keys[4], 1, width)
        self.times = jax.random.normal(keys[5], (longest, width)) / width**0.5  # as long as what it is added to
        self.norm, self.transformer = LayerNorm(width), Transformer(keys[6], width, heads, layers, activation)
        is_box = isinstance(self.space, Box)
        self.head = (
            Dense(keys[7], width, numbers(action).shape[0], 0.01) if is_box else PolicyHead(keys[7], width, action)
        )

    def __call__(self, stretch: Stretch, key: Array | None = None, dropout: float | Array = 0.0) -> Array:
        """The features from which the actions are read, [batch, time, width]. Without a `key` nothing is dropped."""
        shape, rows = stretch.time.shape, lambda tree: jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)
        action = to_unit(self.space, stretch.action) if isinstance(self.space, Box) else stretch.action
        kinds = [
            self.embed_return(stretch.to_go.reshape(-1, 1)),
            self.embed_obs(jax.vmap(self.encoder)(rows(stretch.obs))),
            self.embed_action(jax.vmap(self.action_encoder)(rows(action))),
        ]
        time = self.times[jnp.minimum(stretch.time, len(self.times) - 1)]
        tokens = jnp.stack([kind.reshape(*shape, -1) + time for kind in kinds], axis=2)  # [batch, time, 3, width]
        tokens = self.norm(tokens.reshape(shape[0], 3 * shape[1], -1))
        one, other = (None, None) if key is None else jax.random.split(key)
        real = jnp.repeat(stretch.weight > 0, 3, axis=1)
        return self.transformer(dropped(tokens, one, dropout), real, other, dropout)[:, 1::3]

    def surprise(self, features: Array, obs: Any, action: Any) -> Array:
        """How far the actions are from the predicted ones, [batch, time].

        Of numbers, the mean square in -1 .. 1; of choices, -log p.
        """
        if isinstance(self.space, Box):
            return jnp.square(jnp.tanh(self.read(features)) - to_unit(self.space, action)).mean(-1)
        return -jax.vmap(jax.vmap(lambda *it: self.head(*it[:2]).log_prob(it[2])))(features, obs, action)

    def choose(self, features: Array, obs: Any, key: Array | None) -> Any:
        """The action of one step; of choices drawn with `key`, or the likeliest without."""
        if isinstance(self.space, Box):
            return to_box(self.space, jnp.tanh(self.read(features)))
        policy = self.head(features, obs)
        return policy.mode() if key is None else policy.sample(key)

    def read(self, features: Array) -> Array:
        """What the head makes of the features [..., width]."""
        return by_rows(self.head, features)
