"""Visits to the cells of a table: where they are, which are first, and averages over them.

Sutton & Barto, Reinforcement Learning, 2nd edition, chapter 5 (http://incompleteideas.net/book/the-book-2nd.html).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths import tables


def numbers(obs: Any, shape: tuple[int, ...]) -> Array:
    """The states that observations [time, env, ...] stand for, counted row by row -> int32 [time, env].

    `shape` is that of a table of state values: [*observation components].
    """
    return jax.vmap(jax.vmap(lambda one: tables.number(one, shape)))(obs)


def first_visits(cell: Array, weight: Array) -> Array:
    """1 where an episode enters its cell for the first time, else 0 -> [time, env].

    cell: [time, env], one episode an environment; what has weight 0 is no visit.
    """
    cell = jnp.where(weight > 0, cell, -1)
    order = jnp.argsort(cell, axis=0, stable=True)  # alike cells side by side, in order of time
    alike = jnp.take_along_axis(cell, order, axis=0)
    first = jnp.concatenate([jnp.ones_like(alike[:1], bool), alike[1:] != alike[:-1]])
    return jnp.where(weight > 0, jnp.take_along_axis(first, jnp.argsort(order, axis=0), axis=0), 0.0)


def approach(
    value: Array,
    total: Array,
    cell: Array,
    target: Array,
    weight: Array,
    learning_rate: float | Array = 1.0,
    decay: float | Array = 1.0,
) -> tuple[Array, Array]:
    """Move values towards targets, visit by visit in order of time -> value, total.

        total(s) <- total(s) + w,    value(s) <- value(s) + learning_rate w / total(s)^decay (target - value(s))

    With 1 and 1 the values are the weighted means of all targets (eq. 5.8), with decay 0 the step size is constant.

    value, total: [cells]; cell, target, weight: [time, env]. Visits of one time to one cell are added up, which leaves
    a mean a mean. Weight 0 moves nothing.
    """

    def visit(carry: tuple[Array, Array], now: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], None]:
        value, total = carry
        cell, target, weight = now
        total = total.at[cell].add(weight)
        step_size = learning_rate * weight / jnp.where(weight > 0, total[cell], 1.0) ** decay
        change = jnp.where(weight > 0, step_size * (target - value[cell]), 0.0)
        return (value.at[cell].add(change), total), None

    return jax.lax.scan(visit, (value, total), (cell, target, weight))[0]
