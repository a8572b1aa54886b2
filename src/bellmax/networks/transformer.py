"""A causal transformer (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762) as GPT-2 has it: norms come first.

x <- x + attention(norm(x)),  x <- x + feed_forward(norm(x)),  and a norm at the end
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.mlp import ACTIVATIONS, Activation, Dense
from bellmax.networks.normed import LayerNorm


class Block(eqx.Module):
    """Attention over what is seen, then two dense layers on each token."""

    attention_norm: LayerNorm
    reading: Dense  # queries, keys and values of all heads
    writing: Dense
    dense_norm: LayerNorm
    up: Dense
    down: Dense
    heads: int = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)

    def __init__(self, key: Array, width: int, heads: int, layers: int, activation: Activation):
        keys, less = jax.random.split(key, 4), (2 * layers) ** -0.5  # so that all branches together are of unit size
        self.attention_norm, self.dense_norm = LayerNorm(width), LayerNorm(width)
        self.reading, self.writing = Dense(keys[0], width, 3 * width), Dense(keys[1], width, width, less)
        self.up, self.down = Dense(keys[2], width, 4 * width), Dense(keys[3], 4 * width, width, less)
        self.heads, self.activation = heads, activation

    def __call__(self, x: Array, seen: Array, key: Array | None, dropout: float | Array) -> Array:
        one, other = (None, None) if key is None else jax.random.split(key)
        x = x + dropped(self.attend(self.attention_norm(x), seen), one, dropout)
        y = by_rows(self.down, ACTIVATIONS[self.activation](by_rows(self.up, self.dense_norm(x))))
        return x + dropped(y, other, dropout)

    def attend(self, x: Array, seen: Array) -> Array:
        """softmax(q k / sqrt(size)) v of every head, over what is seen [batch, time, time]."""
        parts = by_rows(self.reading, x).reshape(*x.shape[:-1], 3, self.heads, -1)
        query, key, value = (parts[..., i, :, :] for i in range(3))
        read = jax.nn.dot_product_attention(query, key, value, mask=seen[:, None])
        return by_rows(self.writing, read.reshape(x.shape))


class Transformer(eqx.Module):
    """Tokens [batch, time, width] -> features [batch, time, width]; a token sees itself and the real ones before it."""

    blocks: list[Block]
    norm: LayerNorm

    def __init__(self, key: Array, width: int, heads: int, layers: int, activation: Activation = "relu"):
        if width % heads:
            raise ValueError(f"heads = {heads}: the width, {width}, must be a multiple of it; change one of them.")
        self.blocks = [Block(k, width, heads, layers, activation) for k in jax.random.split(key, layers)]
        self.norm = LayerNorm(width)

    def __call__(self, x: Array, real: Array, key: Array | None = None, dropout: float | Array = 0.0) -> Array:
        """real: [batch, time], False for padding. Without a `key` nothing is dropped."""
        time = x.shape[1]
        seen = jnp.tril(jnp.ones((time, time), bool)) & (real[:, None, :] | jnp.eye(time, dtype=bool))
        for index, block in enumerate(self.blocks):
            x = block(x, seen, None if key is None else jax.random.fold_in(key, index), dropout)
        return self.norm(x)


def dropped(x: Array, key: Array | None, share: float | Array) -> Array:
    """Dropout (Srivastava et al., 2014): a `share` of the numbers becomes 0, the others make up for it."""
    return x if key is None else jnp.where(jax.random.bernoulli(key, share, x.shape), 0, x / (1 - share))


def by_rows(dense: Dense, x: Array) -> Array:
    """x [..., inputs] -> [..., outputs], as one product of matrices, also on the way back."""
    return dense(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1)
