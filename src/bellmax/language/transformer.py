"""One decoder-only transformer for GPT-2 (Radford et al., 2019) and the Llama family (Touvron et al., 2023).

    h_0 = E[token] (+ P[position]);  h_l+1 = h' + FeedForward(norm(h')),  h' = h_l + Attention(norm(h_l));
    logits = norm(h_L) W

Tokens are [batch, time]. `segments` says which document a token belongs to: 0 is padding, wherever it stands, and a
token sees those before it in its own document alone; so rows may be padded left or right, or hold several documents.
Training and sampling run through the same function; sampling gives it a cache.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.language import rope
from bellmax.language.config import ModelConfig
from bellmax.language.layers import SPREAD, Attention, Cache, FeedForward, Linear, Norm


class Layer(eqx.Module):
    """Attention, then the feed-forward layers, each behind a norm and added to what came in."""

    attention_norm: Norm
    attention: Attention
    feed_forward_norm: Norm
    feed_forward: FeedForward

    def __init__(self, key: Array, config: ModelConfig):
        attention_key, feed_forward_key = jax.random.split(key)
        self.attention_norm = norm(config)
        self.attention = Attention(attention_key, config)
        self.feed_forward_norm = norm(config)
        self.feed_forward = FeedForward(feed_forward_key, config)

    def __call__(self, x: Array, *now: Any) -> tuple[Array, Cache | None]:
        read, cache = self.attention(self.attention_norm(x), *now)
        x = x + read
        return x + self.feed_forward(self.feed_forward_norm(x)), cache


class Transformer(eqx.Module):
    """The model. Weights are float32; `dtype` is what it computes in."""

    embedding: Array  # [vocabulary, width]
    positions: Array | None  # [max_positions, width], where they are learned
    layers: tuple[Layer, ...]
    norm: Norm
    head: Linear | None  # None where the embedding is the head
    config: ModelConfig = eqx.field(static=True)

    def __init__(self, key: Array, config: ModelConfig):
        embedding_key, position_key, head_key, *keys = jax.random.split(key, 3 + config.layers)
        self.embedding = SPREAD * jax.random.normal(embedding_key, (config.vocabulary, config.width))
        learned = config.rope is None
        self.positions = (
            SPREAD * jax.random.normal(position_key, (config.max_positions, config.width)) if learned else None
        )
        self.layers = tuple(Layer(layer_key, config) for layer_key in keys)
        self.norm = norm(config)
        self.head = None if config.tied else Linear(head_key, config.width, config.vocabulary, bias=False)
        self.config = config

    def __call__(
        self, tokens: Array, segments: Array | None = None, *, dtype: Any = jnp.float32, remember: bool = True
    ) -> Array:
        """Tokens [batch, time] -> what is known behind each, [batch, time, width]; `logits` reads it.

        Without `segments` a row is one document. `remember=False` computes the layers again on the way back instead of
        keeping what was inside them.
        """
        segments = jnp.ones_like(tokens) if segments is None else segments
        time = jnp.arange(tokens.shape[1])
        same = (segments[:, :, None] == segments[:, None, :]) & (segments > 0)[:, :, None]
        seen = same & (time[:, None] >= time)
        x, _ = self.run(tokens, positions_of(segments), seen, time[:, None] - time, None, 0, dtype, remember)
        return x

    def run(
        self,
        tokens: Array,
        positions: Array,
        seen: Array,
        behind: Array,
        caches: tuple[Cache, ...] | None,
        slot: Array | int,
        dtype: Any = jnp.float32,
        remember: bool = True,
    ) -> tuple[Array, tuple[Cache, ...]]:
        """All layers. behind [time, slots] or [batch, time, slots]: how many tokens ago a slot was -> x, caches."""
        x = self.embedding[tokens].astype(dtype)
        turn = None
        if self.positions is not None:
            x = x + self.positions[positions].astype(dtype)
        elif self.config.rope is not None:
            turn = rope.angles(self.config.rope, self.config.head_size, positions)
        after: list[Any] = []
        call: Any = _call if remember else jax.checkpoint(_call)
        for index, layer in enumerate(self.layers):
            window = self.config.window_of(index)
            near = seen if window is None else seen & (behind < window)
            x, cache = call(layer, x, turn, near, None if caches is None else caches[index], slot)
            after.append(cache)
        return self.norm(x), tuple(after)

    def logits(self, x: Array) -> Array:
        """What is known [..., width] -> the logits of the next token [..., vocabulary], float32."""
        weight = self.embedding.T if self.head is None else self.head.weight
        return (x @ weight.astype(x.dtype)).astype(jnp.float32)

    def caches(self, batch: int, slots: int, dtype: Any = jnp.float32) -> tuple[Cache, ...]:
        """Empty caches, one a layer."""
        shape = (batch, slots, self.config.key_heads, self.config.head_size)
        return tuple(Cache(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)) for _ in self.layers)


def _call(layer: Layer, *now: Any) -> Any:
    return layer(*now)


def norm(config: ModelConfig) -> Norm:
    """A norm of the config's kind over the width."""
    return Norm(config.width, config.norm_epsilon, bias=config.norm == "layer")


def positions_of(segments: Array) -> Array:
    """How many tokens of its document came before a token, [batch, time]; padding has 0."""
    time = jnp.arange(segments.shape[1])
    begins = jnp.concatenate([jnp.ones_like(segments[:, :1], bool), segments[:, 1:] != segments[:, :-1]], axis=1)
    first = jax.lax.cummax(jnp.where(begins, time, 0), axis=1)
    return jnp.where(segments > 0, time - first, 0)


def count(model: Any) -> int:
    """How many parameters."""
    return sum(x.size for x in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
