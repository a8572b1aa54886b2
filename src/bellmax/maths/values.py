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


def expectile_error(error: Array, expectile: float | Array) -> Array:
    """|expectile - 1(error < 0)| error^2, with error = target - value: at 0.5 half the square, near 1 as good as a max.

    What minimises it is the `expectile` of the targets (Newey & Powell, 1987; Kostrikov et al., 2022,
    https://arxiv.org/abs/2110.06169, eq. 5).
    """
    return jnp.abs(expectile - (error < 0)) * jnp.square(error)


def huber(error: Array, width: float | Array = 1.0) -> Array:
    """Half the square within `width` of 0, linear beyond: a gradient of `width` at most.

    Huber (1964); with width 1 it is the clipped error of Mnih et al., 2015 (https://doi.org/10.1038/nature14236).
    """
    size = jnp.abs(error)
    within = jnp.minimum(size, width)
    return within * (size - 0.5 * within)


def rescale(value: Array, epsilon: float | Array = 1e-3) -> Array:
    """h(x) = sign(x) (sqrt(|x| + 1) - 1) + epsilon x: small values are halved, of large ones the root is left.

    Pohlen et al., 2018 (https://arxiv.org/abs/1805.11593), section 3.2; the root's difference is written as a fraction,
    in which nothing cancels.
    """
    return value / (jnp.sqrt(jnp.abs(value) + 1) + 1) + epsilon * value


def restore(rescaled: Array, epsilon: float | Array = 1e-3) -> Array:
    """The inverse of `rescale`: sign(y) (((sqrt(1 + 4 epsilon (|y| + 1 + epsilon)) - 1) / (2 epsilon))^2 - 1).

    Pohlen et al., 2018 (https://arxiv.org/abs/1805.11593), proposition A.2. The fraction is 1 + excess below,
    which does not cancel, and lets epsilon be 0.
    """
    root = jnp.sqrt(1 + 4 * epsilon * (jnp.abs(rescaled) + 1 + epsilon))
    excess = 2 * rescaled / (root + 1 + 2 * epsilon)
    return excess * (jnp.abs(excess) + 2)
