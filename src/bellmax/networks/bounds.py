"""The box that continuous actions come from, and the same actions measured in -1 .. 1."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.spaces import Box, Space


def numbers(action: Space) -> Box:
    """The box of continuous actions. ValueError unless it has one axis and finite bounds."""
    if not isinstance(action, Box) or len(action.shape) != 1 or not np.isfinite(np.stack(action.bounds())).all():
        raise ValueError(
            f"action space {action}: this algorithm needs a one-axis Box with finite bounds; for choices take DQN or "
            "discrete SAC, and give an unbounded action bounds in the environment."
        )
    return action


def to_box(action: Space, unit: Array) -> Array:
    """Actions in -1 .. 1 -> actions of the box."""
    low, high = (jnp.asarray(bound, jnp.float32) for bound in numbers(action).bounds())
    return low + 0.5 * (unit + 1) * (high - low)


def to_unit(action: Space, inside: Array) -> Array:
    """Actions of the box -> actions in -1 .. 1."""
    low, high = (jnp.asarray(bound, jnp.float32) for bound in numbers(action).bounds())
    return 2 * (inside - low) / (high - low) - 1
