"""Writing text: a batch of prompts at once, with a cache a layer that is updated in place.

Prompts are padded on the left, so that all rows write the same slot of the cache at the same time. Every row draws from
its own key: what a prompt is answered does not depend on what it is batched with.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.layers import Cache
from bellmax.language.transformer import Transformer
from bellmax.ranges import Count, NonNegative, Range

Share = Annotated[float, Range(0, 1, open_low=True)]


class Sampling(Frozen):
    """How a token is chosen from its distribution. The restrictions apply in this order."""

    max_tokens: Count = 128  # at most so many are written
    temperature: NonNegative = 1.0  # divides the logits; 0 takes the likeliest
    top_k: Count | None = None  # only the k likeliest
    top_p: Share | None = None  # only the likeliest that together have this probability (Holtzman et al., 2020)
    min_p: Share | None = None  # only those at least so likely as a share of the likeliest (Nguyen et al., 2024)
    stop: tuple[str, ...] = ()  # an answer ends where it holds one of these; it stays in the answer

    @property
    def restricted(self) -> bool:
        """Are some tokens never drawn? Then the log-probabilities are not those of the drawing."""
        return not (self.top_k is None and self.top_p is None and self.min_p is None)


class Prompts(NamedTuple):
    """Prompts padded on the left."""

    tokens: Array  # [batch, time]
    segments: Array  # [batch, time], 1 for tokens, 0 for padding


class Written(NamedTuple):
    """What was written behind each prompt. `weight` is 1 up to and with the token that ended it, then 0."""

    tokens: Array  # [batch, max_tokens]; padding behind the end is 0
    log_prob: Array  # [batch, max_tokens], at the temperature, before restrictions
    weight: Array  # [batch, max_tokens]
    ended: Array  # [batch], by a stop token rather than by max_tokens


class Draft(NamedTuple):
    """A batch that is being written."""

    written: Written
    known: Array  # [batch, width], behind the newest token
    caches: tuple[Cache, ...]
    time: Array  # tokens written so far


def sample(
    model: Transformer, prompts: Prompts, keys: Array, stops: Array, sampling: Sampling, dtype: Any = jnp.float32
) -> Written:
    """Answer prompts; keys [batch]; stops [count]: tokens that end an answer. Jit it with `sampling` as an argument."""
    draft = begin(model, prompts, sampling.max_tokens, dtype)
    return go_on(model, prompts, draft, keys, stops, sampling, sampling.max_tokens).written


def begin(model: Transformer, prompts: Prompts, most: int, dtype: Any = jnp.float32) -> Draft:
    """Read the prompts, and write nothing yet; there is room for `most` tokens."""
    batch, time = prompts.tokens.shape
    slot, now = jnp.arange(time + most), jnp.arange(time)[:, None]
    there = jnp.pad(prompts.segments > 0, ((0, 0), (0, most)))
    seen = there[:, None] & (slot <= now) & (prompts.segments > 0)[:, :, None]
    positions = jnp.maximum(jnp.cumsum(prompts.segments > 0, axis=1) - 1, 0)
    caches = model.caches(batch, time + most, dtype)
    known, caches = model.run(prompts.tokens, positions, seen, now - slot, caches, 0, dtype)
    nothing = jnp.zeros((batch, most))
    written = Written(nothing.astype(jnp.int32), nothing, nothing, jnp.zeros(batch, bool))
    return Draft(written, known[:, -1], caches, jnp.int32(0))


def go_on(
    model: Transformer,
    prompts: Prompts,
    draft: Draft,
    keys: Array,
    stops: Array,
    sampling: Sampling,
    until: int | Array,
) -> Draft:
    """Write up to `until` tokens in all, fewer once every row has ended."""
    room = draft.written.tokens.shape[1]
    until = jnp.minimum(until, room)

    def unfinished(draft: Draft) -> Array:
        return (draft.time < until) & ~draft.written.ended.all()

    def step(draft: Draft) -> Draft:
        token, log_prob = choose(model.logits(draft.known), keys, draft.time, sampling)
        written = _put(draft.written, token, log_prob, draft.time, stops)
        known, caches = _read(model, prompts, draft, token)
        return Draft(written, known, caches, draft.time + 1)

    return jax.lax.while_loop(unfinished, step, draft)


def choose(logits: Array, keys: Array, time: Array, sampling: Sampling) -> tuple[Array, Array]:
    """Logits [batch, vocabulary] -> token [batch], its log-probability at the temperature [batch].

    At temperature 0 the log-probability is that at temperature 1.
    """
    greedy = sampling.temperature == 0
    logits = logits / jnp.where(greedy, 1.0, sampling.temperature)
    allowed = restrict(logits, sampling)
    drawn = jax.vmap(lambda key, row: jax.random.categorical(jax.random.fold_in(key, time), row))(keys, allowed)
    token = jnp.where(greedy, logits.argmax(-1), drawn)
    log_prob = jnp.take_along_axis(jax.nn.log_softmax(logits), token[:, None], axis=1)[:, 0]
    return token.astype(jnp.int32), log_prob


def restrict(logits: Array, sampling: Sampling) -> Array:
    """The logits [batch, vocabulary] with -inf for tokens that must not be drawn."""
    if sampling.top_k is not None:
        least = jax.lax.top_k(logits, min(sampling.top_k, logits.shape[-1]))[0][:, -1:]
        logits = jnp.where(logits >= least, logits, -jnp.inf)
    if sampling.top_p is not None:
        ordered = -jnp.sort(-logits, axis=-1)
        probability = jax.nn.softmax(ordered)
        kept = jnp.cumsum(probability, axis=-1) - probability < sampling.top_p  # the likeliest is always kept
        least = jnp.where(kept, ordered, jnp.inf).min(-1, keepdims=True)
        logits = jnp.where(logits >= least, logits, -jnp.inf)
    if sampling.min_p is not None:
        least = logits.max(-1, keepdims=True) + jnp.log(sampling.min_p)
        logits = jnp.where(logits >= least, logits, -jnp.inf)
    return logits


def _put(written: Written, token: Array, log_prob: Array, time: Array, stops: Array) -> Written:
    """Write the token of each row that has not ended."""
    goes_on = ~written.ended
    weight = goes_on.astype(jnp.float32)

    def put(old: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice(old, jnp.where(goes_on, new, 0).astype(old.dtype)[:, None], (0, time))

    ended = written.ended | (goes_on & (token[:, None] == stops).any(-1))
    return Written(put(written.tokens, token), put(written.log_prob, log_prob), put(written.weight, weight), ended)


def _read(model: Transformer, prompts: Prompts, draft: Draft, token: Array) -> tuple[Array, tuple[Cache, ...]]:
    """Read the newest token [batch] -> what is known behind it [batch, width], caches."""
    before, room = prompts.tokens.shape[1], draft.written.tokens.shape[1]
    slot, now = jnp.arange(before + room), before + draft.time
    there = jnp.pad(prompts.segments > 0, ((0, 0), (0, room)), constant_values=True)
    seen = (there & (slot <= now))[:, None]
    positions = (prompts.segments > 0).sum(1, keepdims=True) + draft.time
    dtype = draft.known.dtype
    known, caches = model.run(token[:, None], positions, seen, (now - slot)[None], draft.caches, now, dtype)
    return known[:, 0], caches
