"""Answers to prompts as text: sampling, stop strings, and the batches that learners of their own answers eat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.language import sampler
from bellmax.language.batching import prompt_rows
from bellmax.language.sampler import Draft, Prompts, Sampling, Written
from bellmax.language.tokeniser import Tokeniser
from bellmax.language.transformer import Transformer

BLOCK = 16  # tokens between two looks for a stop string

_sample = jax.jit(sampler.sample, static_argnames="dtype")
_begin = jax.jit(sampler.begin, static_argnames=("most", "dtype"))
_go_on = jax.jit(sampler.go_on)


class Answered(NamedTuple):
    """Prompts, and what was written behind them."""

    prompts: Prompts
    written: Written
    texts: list[str]


def answer(
    model: Transformer,
    tokeniser: Tokeniser,
    prompts: Sequence[Sequence[int]],
    keys: Array,
    sampling: Sampling,
    *,
    width: int | None = None,
    dtype: Any = jnp.float32,
    place: Callable[[Any], Any] = lambda batch: batch,
) -> Answered:
    """Answer prompts of tokens, each with its own key [batch]; `width`: tokens that prompts are padded to.

    `place` puts arrays [batch, ...] on the devices that share them.
    """
    rows, keys = place((prompt_rows(prompts, width), keys))
    stops = jnp.asarray(tokeniser.stops, jnp.int32)
    if sampling.stop:
        written = _with_stop_strings(model, tokeniser, rows, keys, stops, sampling, dtype)
    else:
        written = _sample(model, rows, keys, stops, sampling, dtype=dtype)
    return Answered(rows, written, decoded(tokeniser, written))


def decoded(tokeniser: Tokeniser, written: Written) -> list[str]:
    """What was written, without the tokens that end it."""
    tokens, weight = np.asarray(written.tokens), np.asarray(written.weight)
    return [tokeniser.decode(row[there > 0].tolist()) for row, there in zip(tokens, weight)]


def _with_stop_strings(
    model: Transformer,
    tokeniser: Tokeniser,
    rows: Prompts,
    keys: Array,
    stops: Array,
    sampling: Sampling,
    dtype: Any,
) -> Written:
    """Write in blocks, and look for stop strings between them."""
    draft: Draft = _begin(model, rows, most=sampling.max_tokens, dtype=dtype)
    for until in range(BLOCK, sampling.max_tokens + BLOCK, BLOCK):
        draft = _go_on(model, rows, draft, keys, stops, sampling, jnp.int32(until))
        draft = draft._replace(written=stopped(tokeniser, draft.written, sampling.stop))
        if bool(draft.written.ended.all()):
            break
    return draft.written


def stopped(tokeniser: Tokeniser, written: Written, stop: Sequence[str]) -> Written:
    """Each answer up to the token with which it first holds one of the strings."""
    tokens, weight, ended = (np.array(x) for x in (written.tokens, written.weight, written.ended))
    for row in range(len(tokens)):
        ids = tokens[row][weight[row] > 0].tolist()
        if not any(text in tokeniser.decode(ids) for text in stop):
            continue
        low, high = 1, len(ids)  # the fewest tokens whose text holds one
        while low < high:
            middle = (low + high) // 2
            held = any(text in tokeniser.decode(ids[:middle]) for text in stop)
            low, high = (low, middle) if held else (middle + 1, high)
        tokens[row, low:], weight[row, low:], ended[row] = 0, 0, True
    log_prob = jnp.where(weight > 0, written.log_prob, 0)
    return Written(jnp.asarray(tokens), log_prob, jnp.asarray(weight), jnp.asarray(ended))


def keys_of(seed: int, step: int, count: int) -> Array:
    """The keys of the rows of batch number `step`, [count]."""
    key = jax.random.fold_in(jax.random.key(seed), step)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(count))
