"""Tables over observations and actions: how large they are, and where an observation stands in them.

An observation may be `Discrete`, `MultiDiscrete`, `MultiBinary`, or a dict or tuple of these: the table gets an axis
for each component, and one for the actions.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Spec, Transition
from bellmax.spaces import Discrete, Masked, MultiBinary, MultiDiscrete, Tree


def shape_of(spec: Spec) -> tuple[int, ...]:
    """The shape of a table of action values: [*observation components, actions]. Raises ValueError."""
    if not isinstance(spec.action, Discrete):
        raise ValueError(f"action space {spec.action}: a table needs Discrete actions; try PPO for others.")
    return (*sizes(spec.obs), spec.action.n)


def sizes(space: Tree) -> tuple[int, ...]:
    """The number of values of each component of an observation. Raises ValueError."""
    leaves = jax.tree.leaves(space.obs if isinstance(space, Masked) else space)
    return tuple(size for leaf in leaves for size in _sizes(leaf))


def _sizes(space: Any) -> tuple[int, ...]:
    if isinstance(space, Discrete):
        return (space.n,)
    if isinstance(space, MultiDiscrete):
        return space.counts
    if isinstance(space, MultiBinary):
        return (2,) * space.n
    raise ValueError(
        f"observation space {space}: a table needs Discrete, MultiDiscrete or MultiBinary observations; "
        "try tile-sarsa or a method with a network."
    )


def index(obs: Any) -> tuple[Array, ...]:
    """Where ONE observation stands in a table, an integer a component: `table[index(obs)]` is its row [actions]."""
    leaves = jax.tree.leaves(obs.obs if isinstance(obs, Masked) else obs)
    return tuple(part for leaf in map(jnp.asarray, leaves) for part in (leaf if leaf.ndim else (leaf,)))


def number(obs: Any, sizes: tuple[int, ...]) -> Array:
    """Which state ONE observation is, counted row by row over its components -> int32. `sizes`: see `sizes`."""
    count = jnp.int32(0)
    for size, part in zip(sizes, index(obs), strict=True):
        count = count * size + part
    return count.astype(jnp.int32)


def rows(table: Array, obs: Any) -> Array:
    """The rows of many observations [n, ...] -> [n, actions]."""
    return table[jax.vmap(index)(obs)]


def cells(obs: Any, action: Array) -> tuple[Array, ...]:
    """Where many observations [n, ...] and actions [n] stand: `table.at[cells(obs, action)].add(change)`."""
    return (*jax.vmap(index)(obs), action)


def together(cells: tuple[Array, ...], step_size: Array) -> Array:
    """Step sizes [n] of changes that are added up, smaller where several would overshoot -> [n].

    Changes of one cell whose step sizes sum to more than 1 are scaled to 1 in all: together they reach the mean of
    their targets and go no further. `step_size` has the weights in it; a single one stays as it is.
    """
    if step_size.shape[0] == 1:
        return step_size
    alike = jnp.stack([part[:, None] == part[None, :] for part in cells]).all(0)
    return step_size / jnp.maximum(alike @ step_size, 1.0)


def legal_of(obs: Any) -> Array | None:
    """The mask of legal actions that comes with observations, [..., actions] or None."""
    return obs.legal if isinstance(obs, Masked) else None


def each(batch: Transition) -> Transition:
    """Collected [time, env, ...] or replayed [batch, ...] -> [n, ...], in order of time."""
    axes = batch.reward.ndim
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[axes:]), batch)
