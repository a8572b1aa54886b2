"""Distributions over actions. Any leading axes; the last axis of a parameter is the action's own.

Each has `sample(key)`, `mode()`, `log_prob(action)` and `entropy()`, the latter two with one number
an action; `TanhNormal` scores the number before its tanh instead, and its entropy has no closed form.
Illegal actions are given by `masked`: they get probability zero.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

ILLEGAL = -1e9  # a logit that leaves no probability, yet no NaN where every action is illegal


class Categorical(NamedTuple):
    """One of n actions. logits: [..., n]."""

    logits: Array

    def masked(self, legal: Array) -> Categorical:
        """legal: boolean [..., n]."""
        return Categorical(jnp.where(legal, self.logits, ILLEGAL))

    def mixed(self, share: float | Array) -> Categorical:
        """The same with `share` of all probability spread evenly: none is ever 0, and no log-probability runs away."""
        return Categorical(jnp.log((1 - share) * jax.nn.softmax(self.logits) + share / self.logits.shape[-1]))

    def sample(self, key: Array) -> Array:
        return jax.random.categorical(key, self.logits)

    def mode(self) -> Array:
        return self.logits.argmax(-1).astype(jnp.int32)

    def log_prob(self, action: Array) -> Array:
        log_p = jax.nn.log_softmax(self.logits)
        chosen = jnp.arange(log_p.shape[-1]) == action[..., None]  # compare and sum: no gather, so no scatter behind
        return jnp.where(chosen, log_p, 0).sum(-1)

    def entropy(self) -> Array:
        log_p = jax.nn.log_softmax(self.logits)
        return -jnp.where(log_p > 0.5 * ILLEGAL, jnp.exp(log_p) * log_p, 0).sum(-1)


class MultiCategorical(NamedTuple):
    """Several independent choices at once. Each of `parts` has its own number of actions."""

    parts: tuple[Categorical, ...]

    def masked(self, legal: Array) -> MultiCategorical:
        """legal: boolean [..., sum of the parts' n], one part after the other."""
        ends = list(accumulate(part.logits.shape[-1] for part in self.parts))  # plain numbers, under jit too
        pieces = jnp.split(legal, ends[:-1], axis=-1)
        return MultiCategorical(tuple(part.masked(piece) for part, piece in zip(self.parts, pieces)))

    def mixed(self, share: float | Array) -> MultiCategorical:
        return MultiCategorical(tuple(part.mixed(share) for part in self.parts))

    def sample(self, key: Array) -> Array:
        keys = jax.random.split(key, len(self.parts))
        return jnp.stack([part.sample(k) for part, k in zip(self.parts, keys)], axis=-1)

    def mode(self) -> Array:
        return jnp.stack([part.mode() for part in self.parts], axis=-1)

    def log_prob(self, action: Array) -> Array:
        return sum((part.log_prob(action[..., i]) for i, part in enumerate(self.parts)), jnp.zeros(()))

    def entropy(self) -> Array:
        return sum((part.entropy() for part in self.parts), jnp.zeros(()))


class Normal(NamedTuple):
    """Independent normals; mean and log_std: [..., n]."""

    mean: Array
    log_std: Array

    def masked(self, legal: Array) -> Normal:
        raise ValueError("A legal-action mask has no meaning for continuous actions: remove it from the observation.")

    def sample(self, key: Array) -> Array:
        return self.mean + jnp.exp(self.log_std) * jax.random.normal(key, self.mean.shape)

    def mode(self) -> Array:
        return self.mean

    def log_prob(self, action: Array) -> Array:
        z = (action - self.mean) * jnp.exp(-self.log_std)
        return (-0.5 * (jnp.square(z) + jnp.log(2 * jnp.pi)) - self.log_std).sum(-1)

    def entropy(self) -> Array:
        return (0.5 + 0.5 * jnp.log(2 * jnp.pi) + self.log_std + 0 * self.mean).sum(-1)


class TanhNormal(NamedTuple):
    """tanh of independent normals, stretched to low .. high; mean and log_std: [..., n].

    `sample_with_log_prob` gives both from the number before the tanh, so that nothing inverts a tanh
    (Haarnoja et al., 2018, https://arxiv.org/abs/1801.01290, appendix C).
    """

    mean: Array
    log_std: Array
    low: Any = -1.0
    high: Any = 1.0

    def sample_with_log_prob(self, key: Array) -> tuple[Array, Array]:
        before = Normal(self.mean, self.log_std).sample(key)
        return self.squash(before), self.log_prob_before(before)

    def sample(self, key: Array) -> Array:
        return self.sample_with_log_prob(key)[0]

    def mode(self) -> Array:
        """Of the normal, carried through the tanh."""
        return self.squash(self.mean)

    def squash(self, before: Array) -> Array:
        return self.low + (self.high - self.low) * 0.5 * (jnp.tanh(before) + 1)

    def log_prob_before(self, before: Array) -> Array:
        """The log-density of squash(before): log N(u) - sum log (1 - tanh(u)^2) - sum log scale.

        log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)) stays finite for every u.
        """
        slope = 2 * (jnp.log(2.0) - before - jax.nn.softplus(-2 * before))
        scale = jnp.log(0.5 * (jnp.asarray(self.high) - jnp.asarray(self.low)))
        return Normal(self.mean, self.log_std).log_prob(before) - (slope + scale).sum(-1)
