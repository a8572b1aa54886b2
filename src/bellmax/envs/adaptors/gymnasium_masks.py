"""Legal-action masks, from `info["action_mask"]` or from an observation called "action_mask"."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from bellmax.envs.adaptors.gymnasium_errors import InvalidEnvironment

KEY = "action_mask"


@dataclass(frozen=True)
class Legal:
    """How many choices each part of an action has: what a mask of it must look like."""

    counts: tuple[int, ...]
    name: str

    @functools.cached_property
    def size(self) -> int:
        """Length of a mask."""
        return sum(self.counts)

    def read(self, value: Any) -> np.ndarray:
        """Masks of a batch of environments -> bool [num_envs, size].

        `value` is an array [num_envs, ...], a tuple with one such array for each part of the action, or an
        object array with a mask (an array, or a tuple of arrays) for each environment.
        """
        if isinstance(value, tuple):
            flat = np.concatenate([self._rows(part) for part in value], axis=1)
        else:
            flat = self._rows(value)
        if flat.shape[1] != self.size:
            raise InvalidEnvironment(
                f"{self.name}: an action mask has {flat.shape[1]} entries and the action space needs {self.size}: "
                f"one for each choice, in the order of the parts, which have {', '.join(map(str, self.counts))}."
            )
        return flat != 0

    def _rows(self, value: Any) -> np.ndarray:
        if isinstance(value, tuple):
            return np.concatenate([self._rows(part) for part in value], axis=1)
        value = np.asarray(value)
        if value.dtype != object:
            return value.reshape(len(value), -1)
        flat = [_flat(mask) for mask in value]
        if len({len(mask) for mask in flat}) > 1:
            raise InvalidEnvironment(
                f"{self.name}: action masks of different sizes, {sorted({len(mask) for mask in flat})}."
            )
        return np.stack(flat)

    def check(self, legal: np.ndarray) -> None:
        """Refuse masks [num_envs, size] that leave some part of an action without any choice."""
        possible = self._possible(legal)
        if not possible.all():
            env, part = np.argwhere(~possible)[0]
            raise InvalidEnvironment(
                f"{self.name}: environment {env} allows no action at all (part {part} of {len(self.counts)}): "
                "end the episode there, or allow an action that does nothing."
            )

    def open(self, legal: np.ndarray, over: Any) -> np.ndarray:
        """The masks in which rows of `over` (where the episode has ended) that allow no action allow every one.

        Nobody acts there, but a policy that is asked what it would do must not divide by zero.
        """
        return legal | (over & ~self._possible(legal).all(axis=1))[:, None]

    def _possible(self, legal: np.ndarray) -> np.ndarray:
        return np.logical_or.reduceat(legal, self._starts, axis=1)

    @functools.cached_property
    def _starts(self) -> list[int]:
        return list(itertools.accumulate((0, *self.counts[:-1])))


def legal_of(space: gym.Space, name: str) -> Legal | None:
    """The masks of an action space; None if its actions cannot be masked."""
    if isinstance(space, gym.spaces.Discrete):
        return Legal((int(space.n),), name)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return Legal(tuple(int(n) for n in space.nvec.ravel()), name)
    if isinstance(space, gym.spaces.MultiBinary):
        return Legal((2,) * int(np.prod(space.shape)), name)
    return None


def _flat(mask: Any) -> np.ndarray:
    if isinstance(mask, tuple | list):
        return np.concatenate([_flat(part) for part in mask])
    return np.asarray(mask).ravel()
