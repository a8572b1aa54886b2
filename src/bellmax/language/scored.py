"""A transformer that says numbers instead of tokens: a reward model, or a critic."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.language.layers import Linear
from bellmax.language.texts import Texts
from bellmax.language.transformer import Transformer


class Scored(eqx.Module):
    """A transformer with one number behind every token; the head is computed in float32."""

    model: Transformer
    score: Linear

    def __init__(self, key: Array, model: Transformer):
        self.model = jax.tree.map(jnp.copy, model)
        width = model.config.width
        self.score = Linear(key, width, 1, bias=True, spread=(width + 1) ** -0.5)

    def __call__(self, texts: Texts, *, dtype: Any = jnp.float32, remember: bool = True) -> Array:
        """What each token and those before it say, [batch, time]."""
        known = self.model(texts.tokens, texts.segments, dtype=dtype, remember=remember)
        return self.score(known.astype(jnp.float32))[..., 0]

    def of_whole(self, texts: Texts, *, dtype: Any = jnp.float32, remember: bool = True) -> Array:
        """What is said behind each row's last real token, [batch]."""
        everywhere, time = self(texts, dtype=dtype, remember=remember), jnp.arange(texts.tokens.shape[1])
        last = jnp.where(texts.segments > 0, time, 0).max(1)
        return jnp.take_along_axis(everywhere, last[:, None], axis=1)[:, 0]


def before(said: Array) -> Array:
    """What was said before each token, [batch, time]: the value of the state in which it was written."""
    return jnp.concatenate([jnp.zeros_like(said[:, :1]), said[:, :-1]], axis=1)
