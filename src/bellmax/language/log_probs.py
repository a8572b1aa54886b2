"""The log-probability of every token under a model, without ever making the array [batch, time, vocabulary]."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.language.transformer import Transformer

BUDGET = 2**24  # logits that are there at once: 64 MB of float32


class Scores(NamedTuple):
    """Of every token [batch, time]; 0 where no token came before."""

    log_prob: Array  # log p(token | those before it)
    entropy: Array  # of the distribution that the token is from, in nats


def token_scores(
    model: Transformer,
    tokens: Array,
    segments: Array | None = None,
    *,
    temperature: float | Array = 1.0,
    dtype: Any = jnp.float32,
    remember: bool = True,
    budget: int = BUDGET,
) -> Scores:
    """Log-probabilities and entropies of tokens [batch, time] at a temperature -> [batch, time] each.

    Rows are as `Transformer` takes them. Where a document begins there is nothing to predict its first token from: what
    is said there means nothing, and must weigh 0. `budget` bounds how many logits are there at once.
    """
    known = model(tokens, segments, dtype=dtype, remember=remember)
    return scores_behind(model, known, tokens, temperature=temperature, budget=budget)


def scores_behind(
    model: Transformer, known: Array, tokens: Array, *, temperature: float | Array = 1.0, budget: int = BUDGET
) -> Scores:
    """The scores of tokens [batch, time], given what is known behind each [batch, time, width]."""
    batch, time, width = known.shape
    rows, target = known[:, :-1].reshape(-1, width), tokens[:, 1:].reshape(-1)
    log_prob, entropy = _in_pieces(model, rows, target, temperature, max(budget // model.config.vocabulary, 1))
    first = jnp.zeros((batch, 1))
    parts = [jnp.concatenate([first, x.reshape(batch, time - 1)], axis=1) for x in (log_prob, entropy)]
    return Scores(*parts)


def _in_pieces(
    model: Transformer, rows: Array, target: Array, temperature: float | Array, size: int
) -> tuple[Array, Array]:
    """Scores of target [n] given rows [n, width], `size` of them at once."""

    def piece(rows: Array, target: Array) -> tuple[Array, Array]:
        return score(model.logits(rows) / temperature, target)

    count = len(target)
    if count <= size:
        return piece(rows, target)
    pieces = -(-count // size)
    padding = pieces * size - count
    rows = jnp.pad(rows, ((0, padding), (0, 0))).reshape(pieces, size, -1)
    target = jnp.pad(target, (0, padding)).reshape(pieces, size)
    # The logits are made again on the way back: keeping them is what this is there to avoid.
    log_prob, entropy = jax.lax.map(jax.checkpoint(lambda now: piece(*now)), (rows, target))
    return log_prob.reshape(-1)[:count], entropy.reshape(-1)[:count]


def score(logits: Array, target: Array) -> tuple[Array, Array]:
    """Logits [..., vocabulary], target [...] -> log-probability of the target, entropy."""
    total = jax.nn.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, target[..., None], axis=-1)[..., 0]
    mean = (jax.nn.softmax(logits, axis=-1) * logits).sum(-1)
    return chosen - total, total - mean
