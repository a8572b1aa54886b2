"""A tree of sums: numbers drawn in proportion to their size, exactly, and changed in a few small operations.

Every level holds the sums of groups of `WIDTH` neighbours of the level below. Sums are taken anew from their group
whenever it changes, so that nothing drifts.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

WIDTH = 32

SumTree = list[Array]  # the leaves first, each level a multiple of WIDTH long; the top has WIDTH entries at most


def empty(size: int) -> SumTree:
    """`size` leaves that are 0."""
    levels = [-(-size // WIDTH) * WIDTH]
    while levels[-1] > WIDTH:
        levels.append(-(-levels[-1] // WIDTH // WIDTH) * WIDTH)
    return [jnp.zeros(n) for n in levels]


def put(tree: SumTree, index: Array, value: Array) -> SumTree:
    """The tree with leaves `index` [k] set to `value` [k]. Where an index comes twice, one of its values counts."""
    new = [tree[0].at[index].set(value)]
    for level in tree[1:]:
        index = index // WIDTH
        new.append(level.at[index].set(_groups(new[-1], index).sum(-1)))
    return new


def total(tree: SumTree) -> Array:
    """The sum of all leaves."""
    return tree[-1].sum()


def find(tree: SumTree, share: Array) -> Array:
    """The leaf at which the running sum passes share [k], from [0, 1], of the total -> [k]. Never a leaf of 0."""
    index = jnp.zeros(share.shape, jnp.int32)
    left = share
    for level in reversed(tree):
        group = _groups(level, index)
        running = jnp.cumsum(group, axis=-1)
        target = left * running[..., -1]
        place = (running <= target[..., None]).sum(-1)
        last = WIDTH - 1 - jnp.argmax(group[..., ::-1] > 0, axis=-1)  # nothing is past a share of 1, rounded or not
        place = jnp.minimum(place, last)
        inside = jnp.take_along_axis(group, place[..., None], -1)[..., 0]
        before = jnp.take_along_axis(running, place[..., None], -1)[..., 0] - inside
        left = jnp.clip((target - before) / jnp.where(inside > 0, inside, 1), 0, 1)
        index = index * WIDTH + place
    return index


def _groups(level: Array, index: Array) -> Array:
    """The groups of number `index` [k] -> [k, WIDTH]."""
    return level.reshape(-1, WIDTH)[index]
