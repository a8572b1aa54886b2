"""Losses of pairs of answers, one preferred to the other; to be minimised, per pair."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def bradley_terry(chosen: Array, rejected: Array, margin: float | Array = 0.0) -> Array:
    """-log sigmoid(chosen - rejected - margin) (Bradley & Terry, 1952; the margin: Touvron et al., 2023, eq. 2)."""
    return -jax.nn.log_sigmoid(chosen - rejected - margin)


def dpo_loss(gap: Array, beta: float | Array, smoothing: float | Array = 0.0) -> Array:
    """-(1 - e) log sigmoid(beta gap) - e log sigmoid(-beta gap) (Rafailov et al., 2023, eq. 7; e: Mitchell, 2023).

    gap: log pi / pi_ref of the chosen answer minus that of the rejected one.
    """
    return -(1 - smoothing) * jax.nn.log_sigmoid(beta * gap) - smoothing * jax.nn.log_sigmoid(-beta * gap)


def ipo_loss(gap: Array, beta: float | Array) -> Array:
    """(gap - 1 / (2 beta))^2 (Azar et al., 2023, eq. 17)."""
    return jnp.square(gap - 1 / (2 * beta))


def log_odds(log_prob: Array) -> Array:
    """log p / (1 - p) from log p < 0."""
    log_prob = jnp.minimum(log_prob, -1e-7)  # at p = 1 the odds are infinite
    return log_prob - log1m_exp(log_prob)


def log1m_exp(x: Array) -> Array:
    """log(1 - exp(x)) for x < 0 without cancelling (Maechler, 2012)."""
    near = x > -0.6931472
    small, large = jnp.where(near, x, -1.0), jnp.where(near, -1.0, x)
    return jnp.where(near, jnp.log(-jnp.expm1(small)), jnp.log1p(-jnp.exp(large)))


def odds_ratio_loss(chosen: Array, rejected: Array) -> Array:
    """-log sigmoid(log odds(chosen) - log odds(rejected)) of mean log-probabilities (Hong et al., 2024, eq. 7)."""
    return -jax.nn.log_sigmoid(log_odds(chosen) - log_odds(rejected))


def simpo_loss(chosen: Array, rejected: Array, beta: float | Array, gamma: float | Array) -> Array:
    """-log sigmoid(beta (chosen - rejected) - gamma) of mean log-probabilities (Meng et al., 2024, eq. 6)."""
    return -jax.nn.log_sigmoid(beta * (chosen - rejected) - gamma)


def kto_loss(log_ratio: Array, desirable: Array, baseline: Array, beta: float | Array) -> Array:
    """1 - sigmoid(beta (log_ratio - baseline)) of desirable answers, with the signs turned of the others.

    Ethayarajh et al., 2024, eq. 8, without its weights; the baseline is no subject of gradients.
    """
    sign = jnp.where(desirable, 1.0, -1.0)
    return 1 - jax.nn.sigmoid(beta * sign * (log_ratio - baseline))
