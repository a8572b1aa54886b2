"""Steps that are taken in some updates only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array

Kept = TypeVar("Kept")


def when(due: Array, step: Callable[[Kept], Kept], kept: Kept) -> Kept:
    """`step(kept)` where `due`, a boolean, is True, else `kept`.

    A loop of one turn or none, so that what is not due costs nothing; also under `vmap`, as long as all are due at the
    same time. No gradient goes backwards through it.
    """
    return jax.lax.fori_loop(0, jnp.asarray(due, jnp.int32), lambda _, now: step(now), kept)
