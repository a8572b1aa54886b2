"""Steps kept in a ring: the newest overwrite the oldest. Rows are times, columns are environments.

The ring has a whole number of rounds, so that a round is written in one piece and in place; a row number counts all
rows ever written, and is found at that number modulo the rows there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Transition
from bellmax.experience import frames
from bellmax.experience.frames import Film


class Ring(NamedTuple):
    """The steps, how many rows were ever written, and, where it is kept apart, what the steps looked at."""

    steps: Transition  # [rows, env, ...]
    written: Array
    film: Film | None = None
    logged: Any = np.int32(0)  # so many of the rows that were written were there before the run took a step


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


def empty(example: Transition, rows: int, num_envs: int, film: Film | None = None) -> Ring:
    """A ring that holds nothing: all of weight 0."""
    if film is not None:
        example = frames.without_stacks(film, example)
    steps = jax.tree.map(lambda x: jnp.zeros((rows, num_envs, *x.shape), x.dtype), example)
    return Ring(steps, jnp.int32(0), film, jnp.int32(0))


def of(buffer: Any) -> Ring:
    """The ring in a buffer, which may hold more than that."""
    return buffer if isinstance(buffer, Ring) else buffer.ring


def logged_so_far(buffer: Any) -> Any:
    """The buffer whose rows so far were logged by others: the run's own begin behind them, and so does its clock."""
    if not isinstance(buffer, Ring):
        return buffer._replace(ring=logged_so_far(buffer.ring))
    return buffer._replace(logged=jnp.copy(buffer.written))


def write(ring: Ring, fresh: Transition) -> Ring:
    """The ring with the rows `fresh` [time, env, ...] in it."""
    length, row = fresh.reward.shape[0], ring.written % ring.steps.reward.shape[0]

    def put(old: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice(old, new.astype(old.dtype), (row, *[0] * (old.ndim - 1)))

    begins = _begins(ring, fresh)

    def change(tree: tuple[Transition, Film | None]) -> tuple[Transition, Film | None]:
        steps, film = tree
        if film is None:
            return jax.tree.map(put, steps, fresh), None
        film = frames.write(film, fresh, row, begins)
        return jax.tree.map(put, steps, frames.without_stacks(film, fresh)), film

    steps, film = _in_place(change, (ring.steps, ring.film), ring.written)
    return Ring(steps, ring.written + length, film, ring.logged)


def _begins(ring: Ring, fresh: Transition) -> Array:
    """Is a step of `fresh` not the one that follows the row before it? [time, env]."""
    newest = (ring.written - 1) % ring.steps.reward.shape[0]

    def before(old: Array, new: Array) -> Array:
        return jnp.concatenate([old[newest][None], new[:-1]])

    weight = before(ring.steps.weight, fresh.weight)  # 0 before the first row, too
    return before(ring.steps.last, fresh.last) | (weight == 0)


def interrupt(ring: Ring) -> Ring:
    """The ring after which other episodes begin: what is written next does not follow its newest steps."""
    newest = (ring.written - 1) % ring.steps.reward.shape[0]
    return ring._replace(steps=ring.steps._replace(last=ring.steps.last.at[newest].set(True)))


def _in_place(change: Callable[[Any], Any], tree: Any, count: Array) -> Any:
    """change(tree), made before anything reads the result.

    On the CPU XLA would fuse the change into every reader, and copy the whole tree to have it both before and after. A
    loop of one turn keeps it from that; that there is one it must not know.
    """
    if jax.default_backend() != "cpu":
        return change(tree)
    return jax.lax.fori_loop(0, jnp.minimum(1, 1 + count), lambda _, tree: change(tree), tree)


def held(ring: Ring) -> Array:
    """How many rows there are now."""
    return jnp.minimum(ring.written, ring.steps.reward.shape[0])


def draw(ring: Ring, key: Array, batch: int, length: int, symmetric: bool = False) -> tuple[Array, Array]:
    """Windows of `length` rows, all alike likely, with replacement -> number of the first row, column: [batch] each.

    `symmetric`: one half begins in logged rows, the other in the run's own, as long as there are both.
    """
    row_key, env_key = jax.random.split(key)
    youngest, oldest = _both_ages(ring, batch, length) if symmetric else (length, held(ring))
    age = jax.random.randint(row_key, (batch,), youngest, oldest + 1)  # of the first row; the newest has age 1
    return ring.written - age, jax.random.randint(env_key, (batch,), 0, ring.steps.reward.shape[1])


def _both_ages(ring: Ring, batch: int, length: int) -> tuple[Array, Array]:
    """The least and the greatest age of a window's first row, [batch] each: first those of logged rows."""
    own = jnp.minimum(ring.written - ring.logged, held(ring))  # rows; behind them are those that were logged
    theirs = (own < length) | ((own < held(ring)) & (jnp.arange(batch) < batch // 2))
    return jnp.where(theirs, jnp.maximum(own + 1, length), length), jnp.where(theirs, held(ring), own)


def windows(ring: Ring, first: Array, env: Array, length: int) -> Transition:
    """`length` steps from row number `first` [batch] of column `env` [batch] -> [length, batch, ...]."""
    rows = (first + jnp.arange(length)[:, None]) % ring.steps.reward.shape[0]
    batch = jax.tree.map(lambda x: x[rows, env], ring.steps)
    return batch if ring.film is None else frames.restore(ring.film, batch, rows, env)


def clocked(ring: Ring, batch: Transition) -> Transition:
    """The batch with `extras["steps"]`, the environment steps that the run has collected so far."""
    taken = jnp.float32(ring.written - ring.logged) * ring.steps.reward.shape[1]
    return batch._replace(extras={**batch.extras, "steps": jnp.full(batch.reward.shape, taken)})


def within_episode(batch: Transition) -> Transition:
    """The windows with weight 0 behind an episode's last step: what follows is another episode."""
    ended = jnp.cumsum(batch.last, axis=0) - batch.last > 0
    return batch._replace(weight=jnp.where(ended, 0.0, batch.weight))


def size_in_bytes(buffer: Any) -> int:
    """The memory of a buffer's arrays, which may be shapes alone."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(buffer))
