"""Returns as distributions: probabilities of fixed values (atoms), or values of fixed probabilities (quantiles)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.values import huber


def best_action(q: Array, legal: Array | None = None) -> Array:
    """The legal action of the largest value, the first of several: [..., actions] -> [...] int32."""
    return (q if legal is None else jnp.where(legal, q, -jnp.inf)).argmax(-1).astype(jnp.int32)


def of_action(x: Array, action: Array) -> Array:
    """What belongs to the action taken: x [batch, actions, ...], action [batch] -> [batch, ...]."""
    taken = jnp.arange(x.shape[1]) == action[:, None]
    taken = taken.reshape(*taken.shape, *[1] * (x.ndim - 2))
    return jnp.where(taken, x, 0).sum(1)  # compare and sum: no gather, so no scatter behind


def unless_over(x: Array, legal: Array | None = None) -> Array:
    """x [...], a discount or a value, but 0 where no action is legal [..., actions]: all is over there."""
    return x if legal is None else jnp.where(legal.any(-1), x, 0.0)


def support(v_min: float | Array, v_max: float | Array, count: int) -> Array:
    """`count` atoms, evenly from v_min to v_max -> [count]."""
    return jnp.linspace(v_min, v_max, count)


def expectation(logits: Array, v_min: float | Array, v_max: float | Array) -> Array:
    """The mean of softmax(logits) over the atoms of `support`: [..., n] -> [...]."""
    return (jax.nn.softmax(logits) * support(v_min, v_max, logits.shape[-1])).sum(-1)


def check_support(owner: str, v_min: Any, v_max: Any) -> None:
    """ValueError unless v_min < v_max; numbers that JAX traces pass unseen."""
    if isinstance(v_min, float) and isinstance(v_max, float) and v_min >= v_max:
        raise ValueError(f"{owner}.v_max = {v_max!r}: it must be greater than v_min = {v_min!r}.")


def project(
    probabilities: Array, values: Array, v_min: float | Array, v_max: float | Array, count: int | None = None
) -> Array:
    """The distribution of `values` [..., m] put on the atoms of `support`: probabilities [..., m] -> [..., count].

    There are as many atoms as values unless `count` says otherwise.

    A value between two atoms shares its probability between them, the nearer gets more; one beyond the ends belongs to
    the end (Bellemare et al., 2017, https://arxiv.org/abs/1707.06887, eq. 7):

        out_i = sum_j [1 - |clip(value_j) - z_i| / dz]_0^1 p_j
    """
    last = (count or values.shape[-1]) - 1
    place = ((values - v_min) / (v_max - v_min) * last).clip(0, last)  # in units of dz: between atoms 0 and n - 1
    share = (1 - jnp.abs(place[..., None, :] - jnp.arange(last + 1.0)[:, None])).clip(0)  # [..., i, j]
    return (share * probabilities[..., None, :]).sum(-1)


def two_hot(value: Array, v_min: float | Array, v_max: float | Array, count: int) -> Array:
    """The distribution over `support` whose mean is the value, on the two atoms around it: [...] -> [..., count].

    Schrittwieser et al., 2020 (https://arxiv.org/abs/1911.08265), appendix F. What is beyond an end is put on the end.
    """
    return project(jnp.ones_like(value)[..., None], value[..., None], v_min, v_max, count)


def divergence(target: Array, logits: Array) -> Array:
    """KL(target || softmax(logits)), 0 where they agree: [..., n] -> [...].

    It is the cross-entropy, and has its gradient, less the target's own entropy.
    """
    return (jax.scipy.special.xlogy(target, target) - target * jax.nn.log_softmax(logits)).sum(-1)


def midpoints(count: int) -> Array:
    """(2 i - 1) / 2 N for i = 1 .. N: the quantiles that serve best (Dabney et al., 2018, lemma 2) -> [count]."""
    return (jnp.arange(count) + 0.5) / count


def quantile_huber(quantiles: Array, targets: Array, tau: Array, width: float | Array = 1.0) -> Array:
    """How badly `quantiles` [..., n], at `tau` [..., n], fit the samples `targets` [..., m] -> [...].

        sum_i mean_j |tau_i - 1[u_ij < 0]| L(u_ij) / width,   u_ij = target_j - quantile_i

    L is Huber's loss; too high a quantile is pushed down by 1 - tau, too low a one up by tau (Dabney et al., 2018,
    https://arxiv.org/abs/1710.10044, eq. 10; divided by the width in https://arxiv.org/abs/1806.06923, eq. 3).
    """
    error = targets[..., None, :] - quantiles[..., :, None]  # [..., i, j]
    tilt = jnp.abs(tau[..., :, None] - (error < 0))
    return (tilt * huber(error, width) / width).mean(-1).sum(-1)
