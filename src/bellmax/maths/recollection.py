"""What a table can remember of a deterministic world: where each action led, what it paid, whether all was over.

The model of Sutton & Barto's chapter 8 (http://incompleteideas.net/book/the-book-2nd.html). States are counted row by
row over the components of an observation (`bellmax.maths.tables`), so that state and action index every table.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Transition
from bellmax.maths import tables


class Recollection(NamedTuple):
    """What happened last after each action in each state. An untried one leads back to its state and pays nothing."""

    successor: Array  # int32 [states, actions], the state entered
    reward: Array  # [states, actions]
    discount: Array  # [states, actions], 0 where the episode terminated
    tried: Array  # bool [states, actions]
    legal: Array  # bool [states, actions], by the masks that were seen; all where there are none
    visited: Array  # int32 [states]: the states in which something was tried, in the order of their first visit
    visits: Array  # int32, how many those are; what stands behind them means nothing


def nothing(shape: tuple[int, ...]) -> Recollection:
    """The model of a world never seen; shape: that of a table of action values, [*observation, actions]."""
    states, table = math.prod(shape[:-1]), (math.prod(shape[:-1]), shape[-1])
    back = jnp.broadcast_to(jnp.arange(states, dtype=jnp.int32)[:, None], table)
    kinds = (jnp.zeros(table), jnp.ones(table), jnp.zeros(table, bool), jnp.ones(table, bool))
    return Recollection(back, *kinds, jnp.zeros(states, jnp.int32), jnp.int32(0))


def remember(model: Recollection, batch: Transition, shape: tuple[int, ...]) -> Recollection:
    """The model after transitions [n, ...], one after the other. What has weight 0 is not remembered."""
    numbers = (jax.vmap(lambda one: tables.number(one, shape[:-1]))(obs) for obs in (batch.obs, batch.next_obs))
    masks = tables.legal_of(batch.obs), tables.legal_of(batch.next_obs)
    return jax.lax.scan(_remember_one, model, (*numbers, *masks, batch))[0]


def _remember_one(model: Recollection, now: tuple[Any, ...]) -> tuple[Recollection, None]:
    state, successor, mask, next_mask, transition = now
    counts, cell = transition.weight > 0, (state, transition.action)

    def write(table: Array, place: Any, value: Any) -> Array:
        return table.at[place].set(jnp.where(counts, value, table[place]))

    legal = model.legal
    if mask is not None:
        legal = write(write(legal, state, mask), successor, next_mask)
    new = counts & ~model.tried[state].any()
    behind = jnp.where(new, model.visits, len(model.visited))  # beyond the end nothing is written
    model = Recollection(
        write(model.successor, cell, successor),
        write(model.reward, cell, transition.reward),
        write(model.discount, cell, transition.discount),
        write(model.tried, cell, True),
        legal,
        model.visited.at[behind].set(state, mode="drop"),
        model.visits + new,
    )
    return model, None
