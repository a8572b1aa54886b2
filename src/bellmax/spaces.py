"""What can be observed and what can be done: spaces, and trees of them.

A space is a leaf; a `dict` or a `tuple` of spaces is a space too, and so are `Masked` and `Simulated`. Everything
here is written for one environment; drivers `vmap` it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Discrete:
    """One of `n` choices, an int32 in 0 .. n - 1."""

    n: int


@dataclass(frozen=True)
class MultiDiscrete:
    """Several choices at once: int32 [len(counts)], entry i in 0 .. counts[i] - 1."""

    counts: tuple[int, ...]


@dataclass(frozen=True)
class MultiBinary:
    """`n` switches: int32 [n] of 0 and 1."""

    n: int


@dataclass(frozen=True)
class Box:
    """Numbers between `low` and `high`, each one number or a flat tuple with one an element."""

    shape: tuple[int, ...]
    low: float | tuple[float, ...] = -math.inf
    high: float | tuple[float, ...] = math.inf
    dtype: str = "float32"

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and the largest value, each an array of this space's shape."""
        return tuple(_fill(bound, self.shape) for bound in (self.low, self.high))  # type: ignore[return-value]


Space = Discrete | MultiDiscrete | MultiBinary | Box
Tree = Any  # a Space, or a dict, tuple, Masked or Simulated of Trees


class Masked(NamedTuple):
    """An observation that comes with the actions that are legal now.

    `legal` is boolean: [n] for `Discrete`, [sum(counts)] for `MultiDiscrete`, [n, 2] flattened to
    [2 n] for `MultiBinary`. In a spec, `obs` is a tree of spaces and `legal` a `MultiBinary`.
    """

    obs: Any
    legal: Any


class Privileged(NamedTuple):
    """An observation with what only a critic may see, while training: policies leave `extra` out, and work without.

    In a spec both are trees of spaces. A mask stands outside: `Masked(Privileged(obs, extra), legal)`.
    """

    obs: Any
    extra: Any


class Simulated(NamedTuple):
    """An observation that comes with the simulator it was seen in, for algorithms that plan with a known model.

    `simulator` is the environment's own state: `step` goes on from it. In a spec it is the same tree with a `Box` for
    every array.
    """

    obs: Any
    simulator: Any


def _fill(bound: float | tuple[float, ...], shape: tuple[int, ...]) -> np.ndarray:
    if isinstance(bound, tuple):
        return np.asarray(bound, np.float64).reshape(shape)
    return np.full(shape, bound, np.float64)


def is_image(space: Any) -> TypeGuard[Box]:
    """Is it a picture: a box with three axes, channels first or last?"""
    return isinstance(space, Box) and len(space.shape) == 3


def zeros(space: Tree) -> Any:
    """The all-zero element, with the dtypes that elements of `space` have; every action of a mask is legal."""

    def zero(leaf: Space | Masked) -> Any:
        if isinstance(leaf, Masked):
            return Masked(zeros(leaf.obs), jnp.ones(leaf.legal.n, bool))
        if isinstance(leaf, Box):
            return jnp.zeros(leaf.shape, leaf.dtype)
        shape = {Discrete: lambda s: (), MultiDiscrete: lambda s: (len(s.counts),), MultiBinary: lambda s: (s.n,)}
        return jnp.zeros(shape[type(leaf)](leaf), jnp.int32)

    return jax.tree.map(zero, space, is_leaf=_is_masked)


def sample(space: Tree, key: jax.Array) -> Any:
    """A random element: uniform where it is bounded, standard normal where it is not."""
    leaves, tree = jax.tree.flatten(space, is_leaf=_is_masked)
    return jax.tree.unflatten(tree, [_sample(leaf, k) for leaf, k in zip(leaves, jax.random.split(key, len(leaves)))])


def _is_masked(space: Tree) -> bool:
    return isinstance(space, Masked)


def _sample(space: Space | Masked, key: jax.Array) -> Any:
    if isinstance(space, Masked):
        return Masked(sample(space.obs, key), jnp.ones(space.legal.n, bool))
    if isinstance(space, Discrete):
        return jax.random.randint(key, (), 0, space.n)
    if isinstance(space, MultiDiscrete):
        return jax.random.randint(key, (len(space.counts),), 0, jnp.asarray(space.counts))
    if isinstance(space, MultiBinary):
        return jax.random.bernoulli(key, shape=(space.n,)).astype(jnp.int32)
    return _sample_box(space, key)


def _sample_box(space: Box, key: jax.Array) -> jax.Array:
    low, high = space.bounds()
    bounded = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(bounded, low, 0), np.where(bounded, high, 1)
    whole = np.issubdtype(space.dtype, np.integer)
    share = jax.random.uniform(key, space.shape)
    uniform = low * (1 - share) + (high + whole) * share  # high - low may overflow; a whole number may be high itself
    value = jnp.where(bounded, uniform, jax.random.normal(key, space.shape))
    if whole:
        value = jnp.floor(value)
    return jnp.where(bounded, value.clip(low, high), value).astype(space.dtype)


def confine(space: Tree, action: Any) -> Any:
    """What the environment gets: a box action cut to the box's bounds, anything else as it is."""

    def cut(leaf: Space, value: Any) -> Any:
        if not isinstance(leaf, Box) or not np.isfinite(np.concatenate([b.ravel() for b in leaf.bounds()])).any():
            return value
        low, high = (bound.astype(leaf.dtype) for bound in leaf.bounds())
        return value.clip(low, high)

    return jax.tree.map(cut, space, action)
