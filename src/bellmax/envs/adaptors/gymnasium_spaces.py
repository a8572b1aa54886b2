"""Gymnasium's spaces as bellmax's, and the arrays that go with them.

Each function gives the bellmax space together with a function that translates a batch [num_envs, ...].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from bellmax.envs.adaptors.gymnasium_errors import UnsupportedSpace
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, Space, Tree

Translate = Callable[[Any], Any]
NARROW = {"float64": "float32", "int64": "int32", "uint64": "uint32"}  # JAX's own default: 32 bits
LARGEST = float(np.finfo(np.float32).max)


def observation(space: gym.Space, *, copy: bool, where: str) -> tuple[Tree, Translate]:
    """The bellmax space of observations, and the function that reads a batch of them.

    With `copy`, what is read never shares memory with what it was read from. Dictionaries and tuples
    nest. Discrete observations start at 0 whatever the space's `start`.
    """
    if isinstance(space, gym.spaces.Dict):
        parts = {key: observation(part, copy=copy, where=f"{where}[{key!r}]") for key, part in space.spaces.items()}
        readers = {key: read for key, (_, read) in parts.items()}
        trees = {key: tree for key, (tree, _) in parts.items()}
        return trees, lambda batch: {key: read(batch[key]) for key, read in readers.items()}
    if isinstance(space, gym.spaces.Tuple):
        both = [observation(part, copy=copy, where=f"{where}[{i}]") for i, part in enumerate(space.spaces)]
        steps = [read for _, read in both]
        return tuple(tree for tree, _ in both), lambda batch: tuple(read(x) for read, x in zip(steps, batch))
    leaf = _leaf(space)
    if leaf is None:
        raise UnsupportedSpace(
            f"{where} is {space}, and bellmax reads Box, Discrete, MultiDiscrete, MultiBinary, Dict and Tuple: "
            "leave it out or turn it into numbers with gymnasium.wrappers.TransformObservation."
        )
    return leaf, _reader(space, leaf, copy)


def action(space: gym.Space, *, where: str) -> tuple[Space, Translate]:
    """The bellmax space of actions, and the function that writes a batch of them as Gymnasium wants it.

    bellmax's choices start at 0; Gymnasium gets the space's own `start`, dtype and shape, in an array that
    the environment may change.
    """
    leaf = _leaf(space)
    if leaf is None:
        raise UnsupportedSpace(
            f"{where} is {space}, and bellmax acts in Discrete, MultiDiscrete, MultiBinary and Box: turn it into "
            "one of them with gymnasium.wrappers.TransformAction, or flatten a Dict or Tuple of choices into a "
            "MultiDiscrete."
        )
    return leaf, _writer(space)


def _leaf(space: gym.Space) -> Space | None:
    if isinstance(space, gym.spaces.Discrete):
        return Discrete(int(space.n))
    if isinstance(space, gym.spaces.MultiDiscrete):
        return MultiDiscrete(tuple(int(n) for n in space.nvec.ravel()))
    if isinstance(space, gym.spaces.MultiBinary):
        return MultiBinary(int(np.prod(space.shape)))
    if isinstance(space, gym.spaces.Box):
        return Box(space.shape, _bound(space.low), _bound(space.high), _dtype(space))
    return None


def _dtype(space: gym.spaces.Box) -> str:
    """The space's dtype in at most 32 bits; wide integers that do not fit become floats."""
    name = space.dtype.name
    narrow = NARROW.get(name, name)
    if narrow != name and narrow != "float32":
        limits = np.iinfo(narrow)
        if space.low.min() < limits.min or space.high.max() > limits.max:
            return "float32"
    return narrow


def _bound(bound: np.ndarray) -> float | tuple[float, ...]:
    """One number if it is the same everywhere; what float32 cannot exceed is no bound."""
    flat = [_float(x) for x in bound.ravel()]
    return flat[0] if len(set(flat)) == 1 else tuple(flat)


def _float(x: Any) -> float:
    return float(x) if abs(float(x)) < LARGEST else math.copysign(math.inf, x)


def _reader(space: gym.Space, leaf: Space, copy: bool) -> Translate:
    if isinstance(leaf, Box):
        dtype = np.dtype(leaf.dtype)
        if copy:
            return lambda batch: np.array(batch, dtype)
        return lambda batch: np.asarray(batch, dtype)
    start = _start(space)
    if isinstance(leaf, Discrete):
        if start == 0:
            return lambda batch: np.array(batch, np.int32)
        return lambda batch: np.subtract(batch, start, dtype=np.int64).astype(np.int32)
    return lambda batch: np.subtract(batch, start, dtype=np.int64).astype(np.int32).reshape(len(batch), -1)


def _writer(space: gym.Space) -> Translate:
    dtype, shape, start = space.dtype, space.shape, _start(space)
    if isinstance(space, gym.spaces.Discrete):
        if start == 0:
            return lambda batch: np.array(batch, dtype)
        return lambda batch: np.add(batch, start, dtype=np.int64).astype(dtype)
    if not isinstance(space, gym.spaces.Box):
        return lambda batch: (np.asarray(batch).reshape(-1, *shape) + start).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        return lambda batch: np.array(batch, dtype).reshape(-1, *shape)
    return lambda batch: np.rint(batch).astype(dtype).reshape(-1, *shape)


def _start(space: gym.Space) -> Any:
    if isinstance(space, gym.spaces.Discrete):
        return int(space.start)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return space.start.astype(np.int64)
    return 0


def stacked(space: gym.Space, items: list[Any]) -> Any:
    """Observations of single environments as one batch, as a vector environment would return them."""
    if isinstance(space, gym.spaces.Dict):
        return {key: stacked(part, [item[key] for item in items]) for key, part in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(stacked(part, [item[i] for item in items]) for i, part in enumerate(space.spaces))
    return np.array(items)


def rows_of(batch: Any, rows: np.ndarray) -> Any:
    """Some rows of a batch (a copy)."""
    if isinstance(batch, dict):
        return {key: rows_of(part, rows) for key, part in batch.items()}
    if isinstance(batch, tuple):
        return tuple(rows_of(part, rows) for part in batch)
    return np.asarray(batch)[rows]


def with_rows(batch: Any, rows: np.ndarray, new: Any) -> Any:
    """A copy of a batch in which `rows` are those of `new`. `Masked` is a tuple like any other."""
    if isinstance(batch, dict):
        return {key: with_rows(part, rows, new[key]) for key, part in batch.items()}
    if isinstance(batch, tuple):
        parts = [with_rows(part, rows, fresh) for part, fresh in zip(batch, new)]
        return type(batch)(*parts) if isinstance(batch, Masked) else tuple(parts)
    batch = batch.copy()
    batch[rows] = new
    return batch
