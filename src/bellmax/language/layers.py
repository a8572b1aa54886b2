"""The parts of a transformer: a linear map, a norm, the feed-forward layers, attention."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.language import rope
from bellmax.language.config import ModelConfig

ACTIVATIONS = {
    "swish": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": jax.nn.gelu,
    "relu": jax.nn.relu,
}
SPREAD = 0.02  # standard deviation of new weights (Radford et al., 2019)


class Linear(eqx.Module):
    """x [..., inputs] -> x W + b [..., outputs]."""

    weight: Array  # [inputs, outputs]
    bias: Array | None

    def __init__(self, key: Array, inputs: int, outputs: int, bias: bool, spread: float = SPREAD):
        self.weight = spread * jax.random.normal(key, (inputs, outputs))
        self.bias = jnp.zeros(outputs) if bias else None

    def __call__(self, x: Array) -> Array:
        rows = x.reshape(-1, x.shape[-1])  # one product of matrices, also on the way back: on the CPU 1.5 times as fast
        y = (rows @ self.weight.astype(x.dtype)).reshape(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias.astype(x.dtype)


class Norm(eqx.Module):
    """RMSNorm (Zhang & Sennrich, 2019), or LayerNorm where there is a bias; computed in float32."""

    weight: Array
    bias: Array | None
    epsilon: float = eqx.field(static=True)

    def __init__(self, size: int, epsilon: float, bias: bool = False):
        self.weight, self.epsilon = jnp.ones(size), epsilon
        self.bias = jnp.zeros(size) if bias else None

    def __call__(self, x: Array) -> Array:
        y = x.astype(jnp.float32)
        if self.bias is not None:
            y = y - y.mean(-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + self.epsilon) * self.weight
        return (y if self.bias is None else y + self.bias).astype(x.dtype)


class FeedForward(eqx.Module):
    """a(x W_up) W_down, or, gated (Shazeer, 2020), (a(x W_gate) * x W_up) W_down."""

    gate: Linear | None
    up: Linear
    down: Linear
    activation: str = eqx.field(static=True)

    def __init__(self, key: Array, config: ModelConfig):
        gate_key, up_key, down_key = jax.random.split(key, 3)
        width, hidden, bias = config.width, config.hidden, config.hidden_bias
        self.gate = Linear(gate_key, width, hidden, bias) if config.gated else None
        self.up = Linear(up_key, width, hidden, bias)
        self.down = Linear(down_key, hidden, width, bias, SPREAD / (2 * config.layers) ** 0.5)
        self.activation = config.activation

    def __call__(self, x: Array) -> Array:
        active = ACTIVATIONS[self.activation]
        return self.down(active(self.up(x)) if self.gate is None else active(self.gate(x)) * self.up(x))


class Cache(NamedTuple):
    """Keys and values of one layer, [batch, slots, key heads, head size] each."""

    key: Array
    value: Array


class Attention(eqx.Module):
    """Every token reads those before it; groups of heads share keys and values (Ainslie et al., 2023)."""

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    query_norm: Norm | None
    key_norm: Norm | None
    config: ModelConfig = eqx.field(static=True)

    def __init__(self, key: Array, config: ModelConfig):
        keys, size = jax.random.split(key, 4), config.head_size
        wide, narrow = config.heads * size, config.key_heads * size
        self.query = Linear(keys[0], config.width, wide, config.query_bias)
        self.key = Linear(keys[1], config.width, narrow, config.query_bias)
        self.value = Linear(keys[2], config.width, narrow, config.query_bias)
        self.output = Linear(keys[3], wide, config.width, config.output_bias, SPREAD / (2 * config.layers) ** 0.5)
        self.query_norm = Norm(size, config.norm_epsilon) if config.head_norm else None
        self.key_norm = Norm(size, config.norm_epsilon) if config.head_norm else None
        self.config = config

    def __call__(
        self, x: Array, turn: tuple[Array, Array] | None, seen: Array, cache: Cache | None, slot: Array | int
    ) -> tuple[Array, Cache | None]:
        """x [batch, time, width]; may time t see slot s? seen [batch, time, slots] -> x, cache.

        With a cache, the keys and values of `x` are written into it from `slot` on; without, the slots are `x` itself.
        """
        query, key, value = self.heads(x, turn)
        if cache is not None:
            cache = Cache(*(_write(old, new, slot) for old, new in zip(cache, (key, value))))
            key, value = (kept.astype(x.dtype) for kept in cache)
        return self.output(attend(query, key, value, seen).reshape(*x.shape[:2], -1)), cache

    def heads(self, x: Array, turn: tuple[Array, Array] | None) -> tuple[Array, Array, Array]:
        """Queries [batch, time, heads, size]; keys and values [batch, time, key heads, size]."""
        shape = (*x.shape[:2], -1, self.config.head_size)
        query, key, value = (part(x).reshape(shape) for part in (self.query, self.key, self.value))
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        if turn is not None:
            query, key = rope.rotate(query, *turn), rope.rotate(key, *turn)
        return query, key, value


def attend(query: Array, key: Array, value: Array, seen: Array) -> Array:
    """softmax(q k / sqrt(size)) v over the slots that are seen -> [batch, time, heads, size].

    The softmax is in float32; a time that sees nothing, padding, reads the mean of all.
    """
    batch, time, heads, size = query.shape
    groups = heads // key.shape[2]
    rows = (query * size**-0.5).reshape(batch, time, -1, groups, size).transpose(0, 2, 3, 1, 4)
    key, value = key.transpose(0, 2, 3, 1), value.transpose(0, 2, 1, 3)  # [batch, key heads, size, slots], and its turn
    score = (rows.reshape(batch, -1, groups * time, size) @ key).astype(jnp.float32)
    score = score.reshape(batch, -1, groups, time, key.shape[-1])
    score = jnp.where(seen[:, None, None], score, jnp.finfo(jnp.float32).min)
    share = jnp.exp(score - jax.lax.stop_gradient(score.max(-1, keepdims=True)))
    read = share.astype(value.dtype).reshape(batch, -1, groups * time, key.shape[-1]) @ value
    read = read.reshape(batch, -1, groups, time, size) / share.sum(-1, keepdims=True).astype(
        value.dtype
    )  # here, not before
    return read.transpose(0, 3, 1, 2, 4).reshape(batch, time, heads, size)


def _write(old: Array, new: Array, slot: Array | int) -> Array:
    return jax.lax.dynamic_update_slice(old, new.astype(old.dtype), (0, slot, 0, 0))
