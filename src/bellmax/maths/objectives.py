"""Policy objectives, to be maximised, per element: the caller averages."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array


def policy_gradient(log_prob: Array, advantage: Array) -> Array:
    """log pi(a|s) A, whose gradient is the score-function estimator (Williams, 1992)."""
    return log_prob * advantage


def clipped_surrogate(
    log_prob: Array,
    old_log_prob: Array,
    advantage: Array,
    clip: float | Array,
    clip_high: float | Array | None = None,
) -> Array:
    """min(r A, clip(r, 1 - clip, 1 + clip) A), r = pi / pi_old (Schulman et al., 2017, eq. 7).

    `clip_high` is the upper clip where it is another (Yu et al., 2025, eq. 10).
    """
    ratio, high = jnp.exp(log_prob - old_log_prob), clip if clip_high is None else clip_high
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + high) * advantage)


def is_clipped(
    log_prob: Array, old_log_prob: Array, clip: float | Array, clip_high: float | Array | None = None
) -> Array:
    """1 where the ratio pi / pi_old has left [1 - clip, 1 + clip_high], else 0; `clip_high` is `clip` if left out."""
    moved, high = jnp.exp(log_prob - old_log_prob) - 1, clip if clip_high is None else clip_high
    return ((moved > high) | (moved < -clip)).astype(log_prob.dtype)
