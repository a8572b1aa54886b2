"""Random observations on the host: drawing them in JAX would compile for seconds."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from bellmax.core import Spec
from bellmax.export.flat import Named, names
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, Tree

BOUNDED = 1e6  # a bound beyond is the limit of a number format: the box has none


def observations(spec: Spec, count: int, seed: int = 0) -> Named:
    """Random observations by name, [count, ...]: uniform where the box is bounded, standard normal where it is not.

    Masks leave at least one action of each choice legal.
    """
    rng = np.random.default_rng(seed)
    drawn = _draw(spec.obs, spec.action, count, rng)
    return dict(zip(names(drawn, "obs"), jax.tree.leaves(drawn)))


def _draw(space: Tree, action: Tree, count: int, rng: np.random.Generator) -> Any:
    def draw(leaf: Any) -> Any:
        if isinstance(leaf, Masked):
            return Masked(_draw(leaf.obs, action, count, rng), _legal(action, leaf.legal.n, count, rng))
        if isinstance(leaf, Box):
            return _box(leaf, count, rng)
        if isinstance(leaf, Discrete):
            return rng.integers(leaf.n, size=count, dtype=np.int32)
        counts = leaf.counts if isinstance(leaf, MultiDiscrete) else (2,) * leaf.n
        return rng.integers(counts, size=(count, len(counts)), dtype=np.int32)

    return jax.tree.map(draw, space, is_leaf=lambda x: isinstance(x, Masked))


def _box(space: Box, count: int, rng: np.random.Generator) -> np.ndarray:
    low, high = space.bounds()
    if np.issubdtype(space.dtype, np.floating):
        bounded = (np.abs(low) <= BOUNDED) & (np.abs(high) <= BOUNDED)
        low, high = np.where(bounded, low, 0), np.where(bounded, high, 1)
        uniform = rng.uniform(low, high, (count, *space.shape))
        return np.where(bounded, uniform, rng.standard_normal(uniform.shape)).astype(space.dtype)
    low, high = (bound.clip(-(2.0**31), 2.0**31).astype(np.int64) for bound in (low, high))
    return rng.integers(low, high, (count, *space.shape), endpoint=True).astype(space.dtype)


def _legal(action: Tree, size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random masks, [count, size] boolean."""
    counts = _counts(action)
    if sum(counts) != size:
        return np.ones((count, size), bool)
    sure = [np.eye(n, dtype=bool)[rng.integers(n, size=count)] for n in counts]
    return (rng.random((count, size)) < 0.5) | np.concatenate(sure, axis=1)


def _counts(action: Tree) -> tuple[int, ...]:
    if isinstance(action, Discrete):
        return (action.n,)
    if isinstance(action, MultiBinary):
        return (2,) * action.n
    return action.counts if isinstance(action, MultiDiscrete) else ()
