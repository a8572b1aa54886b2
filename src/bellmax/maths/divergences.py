"""Estimators of KL(p || q), per element, from samples of p (Schulman, 2020, http://joschu.net/blog/kl-approx.html).

`log_prob` is log p(x) and `other_log_prob` log q(x) at an x drawn from p.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array


def kl_k1(log_prob: Array, other_log_prob: Array) -> Array:
    """log p / q: unbiased, high variance, may be negative."""
    return log_prob - other_log_prob


def kl_k2(log_prob: Array, other_log_prob: Array) -> Array:
    """(log p / q)^2 / 2: biased, low variance, never negative; its gradient on samples of p is the KL's."""
    return 0.5 * jnp.square(log_prob - other_log_prob)


def kl_k3(log_prob: Array, other_log_prob: Array) -> Array:
    """q / p - 1 - log q / p: unbiased, low variance, never negative."""
    log_ratio = other_log_prob - log_prob
    return jnp.expm1(log_ratio) - log_ratio
