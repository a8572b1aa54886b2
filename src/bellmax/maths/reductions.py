"""What each token of a batch of answers counts for: the share [batch, time] that multiplies its term of the loss.

A loss is then a sum, and does not change with how the batch is cut into pieces.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jax import Array

Reduction = Literal["grpo", "dapo", "dr-grpo"]


def shares(weight: Array, reduction: Reduction, longest: int) -> Array:
    """Shares of the tokens that have weight, [batch, time].

    "grpo": every answer alike, its tokens alike (Shao et al., 2024, eq. 3). "dapo": every token of the batch alike (Yu
    et al., 2025, eq. 8). "dr-grpo": every token 1 / (answers * longest), so that no answer's length divides (Liu et
    al., 2025, section 3.2).
    """
    if reduction == "dapo":
        return evenly(weight)
    if reduction == "dr-grpo":
        return weight / (weight.shape[0] * longest)
    return weight / jnp.maximum(weight.sum(1, keepdims=True), 1) / weight.shape[0]


def evenly(weight: Array) -> Array:
    """weight / sum(weight), or all 0."""
    return weight / jnp.maximum(weight.sum(), 1e-8)
