"""A weight of the KL penalty that keeps the KL near a target (Ziegler et al., 2019, https://arxiv.org/abs/1909.08593)."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array


def steered(weight: Array, kl: Array, target: float | Array, rate: float | Array) -> Array:
    """weight (1 + rate clip(kl / target - 1, -0.2, 0.2)) (section 2.2)."""
    return weight * (1 + rate * jnp.clip(kl / target - 1, -0.2, 0.2))
