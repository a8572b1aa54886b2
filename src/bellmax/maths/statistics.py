"""Weighted means, standardisation, explained variance and running moments.

Every average here takes `weight`: 0 marks padding, and padding must not move a result.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array


def weighted_mean(x: Array, weight: Array) -> Array:
    """sum(w x) / sum(w) over all axes; 0 where nothing has weight. Shapes of x and weight are equal."""
    assert x.shape == weight.shape, f"weighted_mean of {x.shape} with weights {weight.shape}"
    total = weight.sum()
    return jnp.where(weight != 0, x * weight, 0).sum() / jnp.where(total == 0, 1, total)


def standardise(x: Array, weight: Array) -> Array:
    """(x - mean) / (std + 1e-8) over all axes, mean and std weighted; the std divides by sum(w)."""
    mean = weighted_mean(x, weight)
    deviation = jnp.sqrt(weighted_mean(jnp.square(x - mean), weight))
    return jnp.where(weight != 0, (x - mean) / (deviation + 1e-8), 0)


def explained_variance(prediction: Array, target: Array, weight: Array) -> Array:
    """1 - Var(target - prediction) / Var(target): 1 is perfect, 0 no better than a constant."""

    def variance(x: Array) -> Array:
        return weighted_mean(jnp.square(x - weighted_mean(x, weight)), weight)

    spread = variance(target)
    return jnp.where(spread > 1e-12, 1 - variance(target - prediction) / jnp.maximum(spread, 1e-12), 0.0)


def quantile(x: Array, weight: Array, share: float) -> Array:
    """The number below which `share` of x lies, between two of them in proportion; over all axes.

    Numbers of weight 0 are not looked at, all others count alike; 0 where there are none. Shapes of x and weight are
    equal.
    """
    assert x.shape == weight.shape, f"quantile of {x.shape} with weights {weight.shape}"
    count = (weight != 0).sum()
    ordered = jnp.sort(jnp.where(weight != 0, x, jnp.inf).ravel())
    place = share * (count - 1)
    low = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, jnp.maximum(count - 1, 0))
    high = jnp.minimum(low + 1, jnp.maximum(count - 1, 0))
    between = ordered[low] + (place - low) * (ordered[high] - ordered[low])
    return jnp.where(count == 0, 0.0, between)


class Moments(NamedTuple):
    """The mean and variance of everything seen: element by element, exact however it was cut up."""

    count: Array  # type: ignore[assignment]
    mean: Array
    variance: Array  # of what was seen, dividing by the count; 1 before anything was


def no_moments(shape: tuple[int, ...] = ()) -> Moments:
    """Moments that have seen nothing."""
    return Moments(jnp.zeros(()), jnp.zeros(shape), jnp.ones(shape))


def update_moments(moments: Moments, x: Array, weight: Array) -> Moments:
    """Take in `x` [*weight.shape, *moments.mean.shape]; elements of weight 0 are not looked at.

    The parallel form of Welford's algorithm (Chan, Golub & LeVeque, 1983), which does not cancel. It keeps the
    variance, not the sum behind it: where a float32 count stops growing (2^24 single elements) a sum would run off.
    """
    axes = tuple(range(weight.ndim))
    seen = (weight != 0).astype(moments.mean.dtype).reshape(*weight.shape, *[1] * moments.mean.ndim)
    x = jnp.where(seen != 0, x, 0).astype(moments.mean.dtype)  # whole numbers, such as pixels, would overflow
    batch_count = seen.sum()
    divisor = jnp.maximum(batch_count, 1)
    batch_mean = x.sum(axes) / divisor
    batch_variance = (seen * jnp.square(x - batch_mean)).sum(axes) / divisor
    count = moments.count + batch_count
    share = batch_count / jnp.maximum(count, 1)
    distance = batch_mean - moments.mean
    spread = share * (1 - share) * jnp.square(distance)
    variance = (1 - share) * moments.variance + share * batch_variance + spread
    return Moments(count, moments.mean + share * distance, variance)
