"""Numbers that change while training. Time is counted in environment steps.

A hyperparameter annotated `Scheduled` may be a plain number or a schedule; `at` reads either.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, TypeVar

import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.ranges import NonNegative, Positive, Range


class Linear(Frozen):
    """From `start` to `end` over `steps` environment steps, then `end` for good.

    `steps=None` means the length of the run: the front door fills it in.
    """

    start: NonNegative  # at step 0
    end: NonNegative = 0.0  # from `steps` on
    steps: Positive | None = None  # environment steps from start to end


Scheduled = Annotated[float, Range(0)] | Linear


def at(value: float | Array | Linear, steps: float | Array) -> float | Array:
    """The value after `steps` environment steps."""
    if not isinstance(value, Linear):
        return value
    if value.steps is None:
        raise ValueError(
            f"{value} has no length: give Linear(start, end, steps=...), or train through bellmax.train, "
            "which fills it in."
        )
    taken, length = (jnp.asarray(x, jnp.float32) for x in (steps, value.steps))  # whole numbers above 2^31 overflow
    progress = jnp.clip(taken / length, 0, 1)
    return value.start + progress * (value.end - value.start)


Whole = TypeVar("Whole", bound=Frozen)


def resolve(algorithm: Whole, steps: int) -> Whole:
    """The algorithm with a length of `steps` for every schedule that has none, in its parts too."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(algorithm):  # type: ignore[arg-type]
        value = getattr(algorithm, field.name)
        if isinstance(value, Linear) and value.steps is None:
            changes[field.name] = value.replace(steps=float(steps))
        elif isinstance(value, Frozen) and not isinstance(value, Linear):
            changes[field.name] = resolve(value, steps)
    return algorithm.replace(**changes)
