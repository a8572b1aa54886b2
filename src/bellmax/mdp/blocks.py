"""Sweeps in place, a block of neighbouring states at a time: in order, or the most promising block first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from bellmax.mdp.layout import Model
from bellmax.mdp.model import MDP
from bellmax.mdp.solution import Solution
from bellmax.mdp.sweeps import ROOM, Swept, middle

State = tuple[Any, ...]
ONE_BY_ONE = 1024  # states: up to here, a block is a state, as in the book; beyond, there are so many blocks


def size_for(states: int) -> int:
    """States in a block."""
    return -(-states // ONE_BY_ONE)


def filled(mdp: MDP) -> MDP:
    """The model with absorbing states added at the end, until blocks are full."""
    missing = -mdp.states % size_for(mdp.states)
    if not missing:
        return mdp
    behind = ((0, 0), (0, 0), (0, missing))
    return mdp.replace(
        successor=np.pad(mdp.successor, behind),
        probability=np.pad(mdp.probability, behind),
        reward=np.pad(mdp.reward, behind),
        absorbing=np.pad(mdp.absorbing, (0, missing), constant_values=True),
        legal=None if mdp.legal is None else np.pad(mdp.legal, ((0, missing), (0, 0)), constant_values=True),
        start=None,
        grid=None,
        check=False,
    )


def cut(found: Solution, states: int) -> Solution:
    """Without the states that `filled` added."""
    return found._replace(
        values=found.values[:states],
        q=found.q[:states],
        policy=found.policy[:states],
        optimal_actions=found.optimal_actions[:states],
    )


@partial(jax.jit, static_argnames="size")
def in_order(
    model: Model, values: Array, factors: Array, target: Array, enough: Array, limit: Array, *, size: int
) -> Swept:
    """Gauss-Seidel: block after block, each seeing what the ones before it have become."""

    def update(block: Array, it: tuple[Array, Array]) -> tuple[Array, Array]:
        values, moved = it
        values, change = _renew(model, values, block, size)
        return values, jnp.maximum(moved, change)

    def sweep(state: State) -> tuple[State, Array]:
        values, moved = lax.fori_loop(0, state[0].size // size, update, (*state, jnp.zeros((), factors.dtype)))
        return (values,), moved

    return _until(sweep, (values,), factors, target, enough, limit)


@partial(jax.jit, static_argnames="size")
def by_priority(
    model: Model,
    values: Array,
    factors: Array,
    target: Array,
    enough: Array,
    limit: Array,
    influence: Array,
    *,
    size: int,
) -> Swept:
    """Prioritised: the block that may change most; then those it influences may change by so much more.

    A priority is at least as large as the change that a sweep over the block would make, so the largest priority is as
    good as a residual. As many blocks as there are make a sweep.
    """
    blocks = values.size // size

    def measure(block: Array, priority: Array) -> Array:
        return priority.at[block].set(_renew(model, values, block, size)[1])

    def update(_: Array, it: tuple[Array, Array]) -> tuple[Array, Array]:
        values, priority = it
        block = jnp.argmax(priority)
        values, change = _renew(model, values, block, size)
        return values, priority.at[block].set(0) + influence[:, block] * change

    def sweep(state: State) -> tuple[State, Array]:
        values, priority = lax.fori_loop(0, blocks, update, state)
        return (values, priority), jnp.max(priority)

    priority = lax.fori_loop(0, blocks, measure, jnp.zeros(blocks, values.dtype))
    return _until(sweep, (values, priority), factors, target, enough, limit)


def _until(
    step: Callable[[State], tuple[State, Array]],
    state: State,
    factors: Array,
    target: Array,
    enough: Array,
    limit: Array,
) -> Swept:
    """Make sweeps: state, of which the values are the first -> state, how far they moved or may yet move."""
    dtype = factors.dtype

    def sweep(it: tuple[State, Array, Array, Array]) -> tuple[State, Array, Array, Array]:
        state, residuals, made, _ = it
        state, residual = step(state)
        return state, residuals.at[made].set(residual), made + 1, middle(-residual, residual, factors)[1]

    def going(it: tuple[State, Array, Array, Array]) -> Array:
        _, residuals, made, radius = it
        met = (radius <= target) | (residuals[made - 1] <= enough)
        return (made < limit) & (made < ROOM) & ((made == 0) | ~met)

    start = state, jnp.zeros(ROOM, dtype), jnp.int32(0), jnp.asarray(jnp.inf, dtype)
    state, residuals, made, radius = lax.while_loop(going, sweep, start)
    return Swept(state[0], residuals, made, radius, jnp.max(jnp.abs(state[0])))


def _renew(model: Model, values: Array, block: Array, size: int) -> tuple[Array, Array]:
    """A sweep over one block -> values, the largest change."""
    here = block * size
    cut = lambda x: lax.dynamic_slice_in_dim(x, here, size, axis=-1)
    ahead = (cut(model.probability) * values[cut(model.successor)]).sum(axis=1)
    new = jnp.max(cut(model.reward) + model.gamma * ahead, axis=0)
    new = jnp.where(cut(model.absorbing), 0, new)
    change = jnp.max(jnp.abs(new - cut(values)))
    return lax.dynamic_update_slice_in_dim(values, new, here, axis=0), change


def influence(mdp: MDP, size: int) -> np.ndarray:
    """float64 [blocks, blocks]: at most how much a sweep over block i changes when the values of block j change by 1.

    gamma times the largest chance, over i's states and actions, to go to j; of each outcome the largest, added up.
    """
    blocks = mdp.states // size
    here = np.arange(mdp.states) // size
    chances = np.zeros((blocks, blocks))
    for outcome in range(mdp.outcomes):
        largest = np.zeros((blocks, blocks))
        for action in range(mdp.actions):
            there = mdp.successor[action, outcome] // size
            np.maximum.at(largest, (here, there), mdp.probability[action, outcome])
        chances += largest
    return mdp.gamma * np.minimum(chances, 1 + 1e-6)
