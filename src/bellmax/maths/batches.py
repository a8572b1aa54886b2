"""Cutting a collected batch into the pieces that gradient steps are taken on."""

from __future__ import annotations

from typing import Any

import jax
from jax import Array


def flatten_time(batch: Any) -> Any:
    """[time, env, ...] -> [time * env, ...] for every array of the tree."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)


def shuffled_minibatches(key: Array, batch: Any, count: int) -> Any:
    """Cut [size, ...] into [count, size // count, ...] at random, without replacement.

    What does not fill the last piece is left out, and is other elements each time. One piece needs no shuffling.
    """
    size = jax.tree.leaves(batch)[0].shape[0]
    if count > size:
        raise ValueError(
            f"minibatches = {count}, but there are only {size} elements to share out: use {size} or fewer."
        )
    if count == 1:
        return jax.tree.map(lambda x: x[None], batch)
    order = jax.random.permutation(key, size)[: size // count * count].reshape(count, -1)
    return jax.tree.map(lambda x: x[order], batch)
