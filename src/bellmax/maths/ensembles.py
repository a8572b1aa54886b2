"""What many Gaussian models say together. The first axis of every argument is the model."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def softly_bounded(x: Array, low: Array, high: Array) -> Array:
    """x kept between low and high by softplus, so that all three have gradients; far inside it stays x.

    Chua et al., 2018 (https://arxiv.org/abs/1805.12114), appendix A.1: for the logarithm of a variance.
    """
    x = high - jax.nn.softplus(high - x)
    return low + jax.nn.softplus(x - low)


def mixture_log_prob(log_prob: Array) -> Array:
    """log-densities [models, ...] -> that of the mixture in which all models are alike likely, [...]."""
    return jax.nn.logsumexp(log_prob, axis=0) - jnp.log(jnp.float32(log_prob.shape[0]))


def disagreement(mean: Array) -> Array:
    """How far apart the means [models, ..., n] are: the root of their variance, averaged over the last axis, [...].

    The variance divides by the number of models: what it is of one model is 0.
    """
    return jnp.sqrt(jnp.square(mean - mean.mean(0)).mean((0, -1)))


def least(loss: Array, count: int) -> Array:
    """The numbers of the `count` models of least loss [models], the best first: int32 [count]."""
    return jax.lax.top_k(-loss, count)[1]


def running_loss(before: Array, now: Array, seen: Array, count: Array, horizon: float) -> Array:
    """The running mean of a loss, of the last `horizon` batches or so; `before` where nothing was seen now.

    The plain mean at first: count is how many batches are in `before`, so that its start does not matter.
    """
    rate = jnp.maximum(1 / (count + 1), 1 / horizon)
    return jnp.where(seen, before + rate * (now - before), before)
