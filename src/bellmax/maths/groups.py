"""Answers to one prompt beside each other: what each is worth against its own group. Rewards are [groups * size]."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array


def against_mean(reward: Array, size: int) -> Array:
    """reward - the mean of its group."""
    grouped = reward.reshape(-1, size)
    return (grouped - grouped.mean(1, keepdims=True)).reshape(-1)


def standardised_in_group(reward: Array, size: int, epsilon: float = 1e-4) -> Array:
    """(reward - mean) / (deviation + epsilon) within its group (Shao et al., 2024, section 4.1.2).

    The deviation divides by size - 1, as common code has it; of a group of one it is 0, and so is what comes out.
    """
    grouped = reward.reshape(-1, size)
    spread = grouped.std(1, keepdims=True, ddof=1 if size > 1 else 0)
    return (against_mean(reward, size).reshape(-1, size) / (spread + epsilon)).reshape(-1)


def against_others(reward: Array, size: int) -> Array:
    """reward - the mean of the others of its group: leave-one-out (Kool et al., 2019; Ahmadian et al., 2024)."""
    return against_mean(reward, size) * (size / max(size - 1, 1))


def same_in_group(reward: Array, size: int) -> Array:
    """1 for groups whose rewards are all the same, from which nothing can be learned, else 0: [groups]."""
    grouped = reward.reshape(-1, size)
    return (grouped == grouped[:, :1]).all(1).astype(jnp.float32)
