"""Batches of text for learners. Rows are [batch, time]; what a row holds is said by `segments` (see `transformer`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from bellmax.language.sampler import Prompts, Written


class Texts(NamedTuple):
    """Rows of tokens."""

    tokens: Array  # [batch, time]
    segments: Array  # [batch, time]: 0 for padding, else the number of the document within the row
    weight: Array  # [batch, time]: 1 where the token is to be learned, or was written by the policy


class Pairs(NamedTuple):
    """Two answers to each prompt."""

    chosen: Texts
    rejected: Texts
    margin: Array  # [batch]: how much better the chosen one is; 0 where nobody said


class Labelled(NamedTuple):
    """Answers that were good or bad, one by one."""

    texts: Texts
    label: Array  # [batch], 1 good and 0 bad; or [batch, time], of the step that ends there


class Unpaired(NamedTuple):
    """Labelled answers, and the same prompts with the answers of others."""

    labelled: Labelled
    mismatched: Texts


class Answers(NamedTuple):
    """What a policy wrote, and what it got for it. Answers to one prompt stand beside each other."""

    texts: Texts  # prompts padded left, answers behind them; weight is 1 on the answers
    log_prob: Array  # [batch, time], at the temperature, when it was written; 0 elsewhere
    reward: Array  # [batch]
    ended: Array  # [batch]: did it stop by itself?


def answers(prompts: Prompts, written: Written, reward: Any) -> Answers:
    """Prompts and what was written behind them as one batch."""

    def behind(before: Array, after: Array) -> Array:
        return jnp.concatenate([before, after.astype(before.dtype)], axis=1)

    nothing = jnp.zeros(prompts.tokens.shape)
    texts = Texts(
        behind(prompts.tokens, written.tokens),
        behind(prompts.segments, written.weight),
        behind(nothing, written.weight),
    )
    return Answers(texts, behind(nothing, written.log_prob), jnp.asarray(reward, jnp.float32), written.ended)


def lengths(weight: Array) -> Array:
    """Tokens that count, [batch]."""
    return weight.sum(1)


def total(x: Array, weight: Array) -> Array:
    """The sum over each row's tokens that count, [batch]; others may hold anything."""
    return jnp.where(weight > 0, x, 0).sum(1)


def mean(x: Array, weight: Array) -> Array:
    """The mean over each row's tokens that count, [batch]."""
    return total(x, weight) / jnp.maximum(lengths(weight), 1)
