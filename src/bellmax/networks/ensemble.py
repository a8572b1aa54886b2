"""Many networks of one kind, stacked: every leaf has a leading axis, [size, ...]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax import Array

Network = TypeVar("Network")


def ensemble(make: Callable[[Array], Network], key: Array, size: int) -> Network:
    """`size` networks `make(key)`, alike but for their keys."""
    return jax.vmap(make)(jax.random.split(key, size))


def some(networks: Network, index: Array) -> Network:
    """Those of number `index` [k]."""
    return jax.tree.map(lambda x: x[index], networks)


def values(critics: Any, obs: Any, action: Array) -> Array:
    """What each of the critics says about each row of obs and action [batch, ...] -> [size, batch]."""
    return jax.vmap(lambda critic: jax.vmap(critic)(obs, action))(critics)
