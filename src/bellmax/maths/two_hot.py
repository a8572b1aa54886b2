"""Numbers of unknown size as probabilities of fixed values (bins), as in DreamerV3.

Hafner et al., 2023, https://arxiv.org/abs/2301.04104. The loss does not grow with the number that is to be predicted,
so that one learning rate serves rewards of any size. `distributional.project` does the same for evenly spaced atoms.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

LARGEST = 20.0  # the outermost bins are symexp(+-20), about 4.9e8


def symlog(x: Array) -> Array:
    """sign(x) log(|x| + 1): near 0 the number itself, far from it its logarithm (Hafner et al., eq. 9)."""
    return jnp.sign(x) * jnp.log1p(jnp.abs(x))


def symexp(x: Array) -> Array:
    """sign(x) (exp(|x|) - 1), the inverse of `symlog` (eq. 9)."""
    return jnp.sign(x) * jnp.expm1(jnp.abs(x))


def symexp_bins(count: int) -> Array:
    """`count` values from symexp(-20) to symexp(20), evenly spaced before symexp (eq. 10) -> [count].

    Exactly symmetric around 0. ValueError unless `count` is odd and at least 3.
    """
    if count < 3 or count % 2 == 0:
        raise ValueError(f"symexp_bins of count = {count}: it must be odd and at least 3, so that 0 is a bin.")
    below = symexp(jnp.linspace(-LARGEST, 0.0, count // 2 + 1))
    return jnp.concatenate([below, -below[-2::-1]])


def two_hot(value: Array, bins: Array) -> Array:
    """The two bins around `value` share a probability of 1, the nearer gets more: [...] -> [..., bins] (eq. 11).

    Their mean is the value; one beyond the ends belongs to the end. `bins` ascend.
    """
    count = bins.shape[0]
    value = jnp.clip(value, bins[0], bins[-1])
    above = jnp.clip((bins <= value[..., None]).sum(-1), 1, count - 1)
    low, high = bins[above - 1], bins[above]
    share = ((value - low) / (high - low))[..., None]
    index, above = jnp.arange(count), above[..., None]
    return jnp.where(index == above, share, jnp.where(index == above - 1, 1 - share, 0.0))


def two_hot_mean(logits: Array, bins: Array) -> Array:
    """The mean of softmax(logits) [..., bins] over bins that are symmetric around 0 -> [...].

    Bins of opposite sign are added first, from the middle outwards: where the probabilities are even, the huge outer
    bins cancel exactly, so that a head of zeros predicts 0.
    """
    weighted = jax.nn.softmax(logits) * bins
    middle = bins.shape[0] // 2
    pairs = weighted[..., :middle][..., ::-1] + weighted[..., middle + 1 :]
    return weighted[..., middle] + pairs.sum(-1)


def two_hot_loss(logits: Array, target: Array, bins: Array) -> Array:
    """The cross-entropy of softmax(logits) [..., bins] with the two-hot `target` [...] -> [...] (eq. 11).

    No gradient goes through the target.
    """
    wanted = jax.lax.stop_gradient(two_hot(target, bins))
    return -(wanted * jax.nn.log_softmax(logits)).sum(-1)
