"""A critic whose layers are normalised and lose some of their units at random."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.chance import uniform
from bellmax.networks.bounds import numbers, to_unit
from bellmax.networks.encoder import Encoder
from bellmax.networks.mlp import ACTIVATIONS, MLP, Activation, Dense
from bellmax.networks.normed import LayerNorm
from bellmax.spaces import Space, Tree


class NormedCritic(eqx.Module):
    """An observation and an action [actions] of the box -> Q, one number. It sees the action in -1 .. 1.

    Each dense layer is followed by dropout (Srivastava et al., 2014, https://jmlr.org/papers/v15/srivastava14a.html),
    layer normalisation (Ba et al., 2016, https://arxiv.org/abs/1607.06450) and the activation, in this order.
    """

    encoder: Encoder
    mlp: MLP
    norms: list[LayerNorm]
    head: Dense
    space: Space = eqx.field(static=True)

    def __init__(self, key: Array, obs: Tree, action: Space, hidden: tuple[int, ...], activation: Activation = "relu"):
        encoder_key, mlp_key, head_key = jax.random.split(key, 3)
        self.encoder, self.space = Encoder(encoder_key, obs), action
        self.mlp = MLP(mlp_key, (self.encoder.size + numbers(action).shape[0], *hidden), activation)
        self.norms = [LayerNorm(size) for size in hidden]
        self.head = Dense(head_key, hidden[-1], 1)

    def __call__(self, obs: Any, action: Array, key: Array, dropout: float | Array) -> Array:
        """`dropout`: the probability with which a unit is left out; the others are scaled up to make up for it."""
        x = jnp.concatenate([self.encoder(obs), to_unit(self.space, action)])
        ends = [0, *accumulate(len(layer.bias) for layer in self.mlp.layers)]
        chance = uniform(key, (ends[-1],))  # one draw for all layers, cut in pieces
        for layer, norm, start, end in zip(self.mlp.layers, self.norms, ends, ends[1:]):
            kept = chance[start:end] >= dropout
            x = ACTIVATIONS[self.mlp.activation](norm(jnp.where(kept, layer(x) / (1 - dropout), 0)))
        return self.head(x)[0]
