"""What stands around a Gymnasium environment: physics drawn for each episode, noise, delays, shaped rewards.

The same as `bellmax.envs.wrappers` for environments on the host. Each is plain data that makes the wrapper of one copy,
in whichever process it lives.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from bellmax.envs.adaptors.gymnasium_physics import Physics
from bellmax.maths.shaping import shaping_reward

MASK = "action_mask"  # of legal actions, in a dict of observations: never late, never noisy
Pairs = tuple[tuple[str, tuple[float, float]], ...]


@dataclass(frozen=True)
class Drawn:
    """Physics drawn evenly from ranges at the start of every episode."""

    ranges: Pairs

    def __call__(self, env: gym.Env) -> gym.Env:
        return DrawnCopy(env, self)


@dataclass(frozen=True)
class Noise:
    """Normal noise on every number observed."""

    deviation: float | tuple[float, ...]

    def __call__(self, env: gym.Env) -> gym.Env:
        return NoisyCopy(env, self)


@dataclass(frozen=True)
class Late:
    """Actions and observations that are late: the fewest and the most steps of each."""

    actions: tuple[int, int]
    observations: tuple[int, int]

    def __call__(self, env: gym.Env) -> gym.Env:
        return LateCopy(env, self)


@dataclass(frozen=True)
class Shape:
    """Potential-based shaping of rewards."""

    potential: Callable[[Any], Any]
    gamma: float

    def __call__(self, env: gym.Env) -> gym.Env:
        return ShapedCopy(env, self)


Around = Drawn | Noise | Late | Shape
KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Drawn, Noise, Late)}  # those that JSON can hold


def to_plain(around: tuple[Around, ...]) -> list[dict[str, Any]] | None:
    """As what JSON can hold; None if it cannot."""
    if not all(type(part) in KINDS.values() for part in around):
        return None
    return [{"kind": type(part).__name__} | dataclasses.asdict(part) for part in around]


def from_plain(parts: list[dict[str, Any]]) -> tuple[Around, ...]:
    """The other way round."""

    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    return tuple(
        KINDS[part["kind"]](**{name: tuples(value) for name, value in part.items() if name != "kind"}) for part in parts
    )


class Seeded(gym.Wrapper):
    """A wrapper with random numbers of its own, which a seeded reset begins anew."""

    def __init__(self, env: gym.Env, what: Around) -> None:
        gym.Wrapper.__init__(self, env)
        self.what: Any = what
        self._rng = np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            name = type(self.what).__name__
            self._rng = np.random.default_rng([seed, *name.encode()])  # no two kinds share their numbers
        self.begin()
        obs, info = self.env.reset(seed=seed, options=options)
        return self.first(obs), info

    def begin(self) -> None:
        """An episode is about to start."""

    def first(self, obs: Any) -> Any:
        """The first observation of an episode, as it is shown."""
        return obs


class DrawnCopy(Seeded):
    """One environment with physics drawn for each episode; `drawn` says what."""

    def __init__(self, env: gym.Env, what: Drawn) -> None:
        Seeded.__init__(self, env, what)
        self._physics = Physics(env, tuple(name for name, _ in what.ranges))
        self.drawn: dict[str, float] = {}

    def begin(self) -> None:
        self.drawn = {name: float(self._rng.uniform(low, high)) for name, (low, high) in self.what.ranges}
        self._physics.set(self.drawn)


class NoisyCopy(Seeded):
    """One environment with noisy observations."""

    def __init__(self, env: gym.Env, what: Noise) -> None:
        Seeded.__init__(self, env, what)
        self.observation_space = _unbounded(env.observation_space)

    def first(self, obs: Any) -> Any:
        return self._disturbed(self.env.observation_space, obs)

    def step(self, action: Any) -> Any:
        obs, *rest = self.env.step(action)
        return self._disturbed(self.env.observation_space, obs), *rest

    def _disturbed(self, space: gym.Space, obs: Any) -> Any:
        if isinstance(space, gym.spaces.Dict):
            return {name: self._disturbed(space[name], part) for name, part in obs.items()}
        if isinstance(space, gym.spaces.Tuple):
            return tuple(self._disturbed(inner, part) for inner, part in zip(space.spaces, obs))
        if not _is_noisy(space):
            return obs
        noise = self._rng.standard_normal(np.shape(obs)) * np.asarray(self.what.deviation)
        return (obs + noise).astype(space.dtype)


class LateCopy(Seeded):
    """One environment whose actions and observations are late."""

    def begin(self) -> None:
        low, high = self.what.actions
        self._late = int(self._rng.integers(low, high + 1))
        low, high = self.what.observations
        self._old = int(self._rng.integers(low, high + 1))
        self._actions = [_nothing(self.env.action_space)] * self._late

    def first(self, obs: Any) -> Any:
        self._observations = [copy.deepcopy(obs)] * self._old
        return obs

    def step(self, action: Any) -> Any:
        self._actions.append(copy.deepcopy(action))
        obs, *rest = self.env.step(self._actions.pop(0))
        self._observations.append(copy.deepcopy(obs))  # it may be the environment's own buffer
        shown = self._observations.pop(0)
        if isinstance(obs, dict) and MASK in obs:
            shown = {**shown, MASK: obs[MASK]}
        return shown, *rest


class ShapedCopy(Seeded):
    """One environment with shaped rewards."""

    def first(self, obs: Any) -> Any:
        self._promised = self._potential(obs)
        return obs

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = self.env.step(action)
        before, self._promised = self._promised, self._potential(obs)
        bonus = shaping_reward(before, self._promised, self.what.gamma * (not terminated))
        return obs, float(reward) + bonus, terminated, truncated, info

    def _potential(self, obs: Any) -> float:
        return float(self.what.potential(obs))


def _nothing(space: gym.Space) -> Any:
    """What acts before any chosen action does: zero, or what is nearest to it."""
    if isinstance(space, gym.spaces.Discrete):
        return space.start
    if isinstance(space, gym.spaces.Box):
        return np.clip(np.zeros(space.shape), space.low, space.high).astype(space.dtype)
    if isinstance(space, gym.spaces.MultiDiscrete | gym.spaces.MultiBinary):
        return np.zeros(space.shape, space.dtype) + getattr(space, "start", 0)
    if isinstance(space, gym.spaces.Dict):
        return {name: _nothing(inner) for name, inner in space.items()}
    return tuple(_nothing(inner) for inner in space.spaces)  # type: ignore[attr-defined]


def _is_noisy(space: gym.Space) -> bool:
    return isinstance(space, gym.spaces.Box) and np.issubdtype(space.dtype, np.floating)


def _unbounded(space: gym.Space) -> gym.Space:
    """Noise knows no bounds."""
    if isinstance(space, gym.spaces.Dict):
        return gym.spaces.Dict({name: _unbounded(inner) for name, inner in space.items()})
    if isinstance(space, gym.spaces.Tuple):
        return gym.spaces.Tuple([_unbounded(inner) for inner in space.spaces])
    return gym.spaces.Box(-np.inf, np.inf, space.shape, space.dtype) if _is_noisy(space) else space  # type: ignore[attr-defined,arg-type]
