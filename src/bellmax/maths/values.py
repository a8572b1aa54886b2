"""Losses of value functions, to be minimised, per element."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array


def value_error(value: Array, target: Array) -> Array:
    """Half the squared error."""
    return 0.5 * jnp.square(value - target)


def clipped_value_error(value: Array, old_value: Array, target: Array, clip: float | Array) -> Array:
    """The larger of the errors of `value` and of `value` kept within `clip` of the old one.

    As in the PPO authors' code (https://github.com/openai/baselines, ppo2), not in the paper.
    """
    kept = old_value + jnp.clip(value - old_value, -clip, clip)
    return jnp.maximum(value_error(value, target), value_error(kept, target))


def huber(error: Array, width: float | Array = 1.0) -> Array:
    """Half the square within `width` of 0, linear beyond: a gradient of `width` at most.

    Huber (1964); with width 1 it is the clipped error of Mnih et al., 2015 (https://doi.org/10.1038/nature14236).
    """
    size = jnp.abs(error)
    within = jnp.minimum(size, width)
    return within * (size - 0.5 * within)
