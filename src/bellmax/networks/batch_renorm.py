"""Batch renormalisation (Ioffe, 2017), https://arxiv.org/abs/1702.03275, and dense layers with it.

While learning, a number x is normalised by the mean m and the deviation s of its batch, then corrected towards what the
running mean mu and deviation sigma would have made of it (algorithm 1):

    y = scale ((x - m) / s r + d) + shift,   r = s / sigma within 1/3 .. 3,   d = (m - mu) / sigma within -5 .. 5

where no gradient goes through r and d. Until it has learned from `WARM_UP` batches r = 1 and d = 0, which is batch
normalisation (Ioffe & Szegedy, 2015). Otherwise, as when acting, it is normalised by mu and sigma. The constants are
those of Bhatt et al., 2024 (https://openreview.net/forum?id=PczQtTsTIX).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.mlp import ACTIVATIONS, MLP, Activation

MOMENTUM = 0.99  # the running statistics move by 1 - this with every batch
EPSILON = 1e-3  # added to the variance
R_MAX, D_MAX = 3.0, 5.0
WARM_UP = 100_000  # batches


class Running(NamedTuple):
    """What is known of the batches so far."""

    mean: Array  # [size]
    variance: Array  # [size]
    batches: Array  # how many


class BatchRenorm(eqx.Module):
    """Numbers [size] -> the same with a mean and a deviation that are learned."""

    scale: Array
    shift: Array

    def __init__(self, size: int):
        self.scale, self.shift = jnp.ones(size), jnp.zeros(size)

    def begin(self) -> Running:
        """Statistics that have seen nothing."""
        return Running(jnp.zeros(self.scale.shape), jnp.ones(self.scale.shape), jnp.int32(0))

    def __call__(self, x: Array, running: Running) -> Array:
        """By the running statistics. x: [..., size]."""
        return self.scale * (x - running.mean) / jnp.sqrt(running.variance + EPSILON) + self.shift

    def learning(self, x: Array, running: Running, weight: Array) -> tuple[Array, Running]:
        """By the batch's statistics -> y [batch, size], the running ones moved. Rows of weight [batch] 0 count not."""
        counted = (weight != 0)[:, None]
        total = jnp.maximum(counted.sum(), 1)
        mean = jnp.where(counted, x, 0).sum(0) / total
        variance = jnp.where(counted, jnp.square(x - mean), 0).sum(0) / total
        deviation = jnp.sqrt(variance + EPSILON)
        running_deviation = jnp.sqrt(running.variance + EPSILON)
        warm = running.batches >= WARM_UP
        r = jnp.where(warm, jnp.clip(deviation / running_deviation, 1 / R_MAX, R_MAX), 1.0)
        d = jnp.where(warm, jnp.clip((mean - running.mean) / running_deviation, -D_MAX, D_MAX), 0.0)
        y = (x - mean) / deviation * jax.lax.stop_gradient(r) + jax.lax.stop_gradient(d)
        return self.scale * y + self.shift, jax.lax.stop_gradient(_moved(running, mean, variance))


def _moved(running: Running, mean: Array, variance: Array) -> Running:
    def move(old: Array, new: Array) -> Array:
        return MOMENTUM * old + (1 - MOMENTUM) * new

    return Running(move(running.mean, mean), move(running.variance, variance), running.batches + 1)


class RenormMLP(eqx.Module):
    """Dense layers, each followed by the activation: x [..., sizes[0]] -> [..., sizes[-1]].

    What goes into each layer, and what comes out of the last, is renormalised.
    """

    norms: list[BatchRenorm]
    mlp: MLP

    def __init__(self, key: Array, sizes: Sequence[int], activation: Activation = "relu"):
        self.norms, self.mlp = [BatchRenorm(size) for size in sizes], MLP(key, sizes, activation)

    def begin(self) -> list[Running]:
        """Statistics that have seen nothing."""
        return [norm.begin() for norm in self.norms]

    def __call__(self, x: Array, running: list[Running]) -> Array:
        for norm, layer, seen in zip(self.norms, self.mlp.layers, running):
            x = ACTIVATIONS[self.mlp.activation](layer(norm(x, seen)))
        return self.norms[-1](x, running[-1])

    def learning(self, x: Array, running: list[Running], weight: Array) -> tuple[Array, list[Running]]:
        """By the statistics of the batch -> features [batch, sizes[-1]], the running statistics moved."""
        moved: list[Running] = []
        for norm, layer, seen in zip(self.norms, self.mlp.layers, running):
            x, now = norm.learning(x, seen, weight)
            x, moved = ACTIVATIONS[self.mlp.activation](layer(x)), [*moved, now]
        x, now = self.norms[-1].learning(x, running[-1], weight)
        return x, [*moved, now]
