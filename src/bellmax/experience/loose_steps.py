"""Steps that do not follow each other, such as imagined ones: the newest overwrite the oldest.

Unlike in `ring`, what weighs 0 takes no room, so that every step that is drawn counts.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Transition


class LooseSteps(NamedTuple):
    """The steps [capacity, ...], where the next goes, and how many there are."""

    steps: Transition
    place: Array
    held: Array


def empty(example: Transition, capacity: int) -> LooseSteps:
    """Room for `capacity` steps. `example`: one transition as shapes, without leading axes."""
    steps = jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape), x.dtype), example)
    return LooseSteps(steps, jnp.int32(0), jnp.int32(0))


def write(kept: LooseSteps, fresh: Transition) -> LooseSteps:
    """With the steps [count, ...] in it whose weight is not 0; count is at most the capacity."""
    capacity, real = len(kept.steps.reward), fresh.weight != 0
    order, count = jnp.cumsum(real) - 1, real.sum(dtype=jnp.int32)
    places = jnp.where(real, (kept.place + order) % capacity, capacity)  # outside: dropped
    steps = jax.tree.map(lambda old, new: old.at[places].set(new.astype(old.dtype), mode="drop"), kept.steps, fresh)
    return LooseSteps(steps, (kept.place + count) % capacity, jnp.minimum(kept.held + count, capacity))


def draw(kept: LooseSteps, key: Array, count: int) -> Transition:
    """Steps [count, ...], drawn evenly with replacement; nonsense where there are none."""
    places = jax.random.randint(key, (count,), 0, jnp.maximum(kept.held, 1))
    return jax.tree.map(lambda x: x[places], kept.steps)
