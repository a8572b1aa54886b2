"""Steps kept in a ring: the newest overwrite the oldest. Rows are times, columns are environments.

The ring has a whole number of rounds, so that a round is written in one piece and in place; a row number counts all
rows ever written, and is found at that number modulo the rows there are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Transition


class Ring(NamedTuple):
    """The steps, and how many rows were ever written."""

    steps: Transition  # [rows, env, ...]
    written: Array


def rows_for(owner: str, capacity: int, num_envs: int, length: int, window: int) -> int:
    """How many rows hold `capacity` steps, in whole rounds of `length`. ValueError if that is too few."""
    rows = capacity // (num_envs * length) * length
    if rows < max(window, length):
        least = max(-(-window // length), 1) * length * num_envs
        raise ValueError(
            f"{owner}.capacity = {capacity}: {num_envs} environments that collect {length} steps each, and windows of "
            f"{window}, need at least {least}."
        )
    return rows


def waits(start: int, num_envs: int, length: int, window: int) -> int:
    """Rounds of `length` before the one in which `start` steps, and at least one window, are there."""
    return max(-(-start // (num_envs * length)), -(-window // length)) - 1


def empty(example: Transition, rows: int, num_envs: int) -> Ring:
    """A ring that holds nothing: all of weight 0."""
    return Ring(jax.tree.map(lambda x: jnp.zeros((rows, num_envs, *x.shape), x.dtype), example), jnp.int32(0))


def write(ring: Ring, fresh: Transition) -> Ring:
    """The ring with the rows `fresh` [time, env, ...] in it."""
    rows, length = ring.steps.reward.shape[0], fresh.reward.shape[0]
    row = ring.written % rows

    def put(old: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice(old, new.astype(old.dtype), (row, *[0] * (old.ndim - 1)))

    return Ring(jax.tree.map(put, ring.steps, fresh), ring.written + length)


def held(ring: Ring) -> Array:
    """How many rows there are now."""
    return jnp.minimum(ring.written, ring.steps.reward.shape[0])


def windows(ring: Ring, first: Array, env: Array, length: int) -> Transition:
    """`length` steps from row number `first` [batch] of column `env` [batch] -> [length, batch, ...]."""
    rows = (first + jnp.arange(length)[:, None]) % ring.steps.reward.shape[0]
    return jax.tree.map(lambda x: x[rows, env], ring.steps)


def clocked(ring: Ring, batch: Transition) -> Transition:
    """The batch with `extras["steps"]`, the environment steps collected so far."""
    taken = jnp.float32(ring.written) * ring.steps.reward.shape[1]
    return batch._replace(extras={**batch.extras, "steps": jnp.full(batch.reward.shape, taken)})


def within_episode(batch: Transition) -> Transition:
    """The windows with weight 0 behind an episode's last step: what follows is another episode."""
    ended = jnp.cumsum(batch.last, axis=0) - batch.last > 0
    return batch._replace(weight=jnp.where(ended, 0.0, batch.weight))


def size_in_bytes(example: Any, rows: int, num_envs: int) -> int:
    """The memory that a ring takes."""
    return sum(rows * num_envs * x.size * x.dtype.itemsize for x in jax.tree.leaves(example))
