"""Where one environment is played and looked at: in the graph, or on the host.

A stage has `reset() -> obs`, `step(action) -> Outcome`, and says what there is to see: `picture()`
(uint8 [height, width, 3]) and `text()`, each None if there is no such thing. `drawn(obs)` is the picture of what
need not be the case: an observation that is a picture, or one from which the state can be told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import gymnasium as gym
import jax
import numpy as np

from bellmax.core import Env, Outcome
from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.adaptors.gymnasium import HostedSource
from bellmax.envs.adaptors.gymnasium_copies import Uncopyable, make, recipe_of, surrounded
from bellmax.spaces import Box, is_image
from bellmax.watch.film import CannotWatch


class Stage(Protocol):
    """One environment to be watched."""

    name: str
    fps: float  # steps a second that look natural
    action: Any  # the space of actions
    obs: Any  # and of what is seen

    def reset(self) -> Any: ...
    def step(self, action: Any) -> Outcome: ...
    def picture(self) -> np.ndarray | None: ...
    def text(self) -> str | None: ...
    def drawn(self, obs: Any) -> np.ndarray | None: ...
    def close(self) -> None: ...


class InGraph:
    """A JAX environment. Its picture is its own (`render`) or, if what is observed is a picture, that."""

    def __init__(self, env: Env, seed: int):
        self.env, self.name = env, getattr(env, "name", type(env).__name__)
        self.obs, self.action, _ = env.spec
        self.fps = getattr(env, "frames_per_second", 30)
        self._key = jax.random.key(seed)
        self._reset, self._step = jax.jit(lambda key: env.reset(key)), jax.jit(lambda *now: env.step(*now))
        self._render: Callable[[Any], Any] | None = getattr(env, "render", None)
        self._text: Callable[[Any], str] | None = getattr(env, "text", None)
        self._env_state: Any = None
        self._obs: Any = None

    def reset(self) -> Any:
        """Begin an episode -> obs."""
        self._key, key = jax.random.split(self._key)
        self._env_state, self._obs = self._reset(key)
        return self._obs

    def step(self, action: Any) -> Outcome:
        """One step."""
        self._key, key = jax.random.split(self._key)
        self._env_state, outcome = self._step(self._env_state, action, key)
        self._obs = outcome.obs
        return outcome

    def picture(self) -> np.ndarray | None:
        """What it looks like now."""
        if self._render is not None:
            return checked(self._render(self._env_state), self.name)
        return pixels(np.asarray(self._obs)) if is_image(self.env.spec.obs) else None

    def text(self) -> str | None:
        """The same in letters."""
        return None if self._text is None else self._text(self._env_state)

    def drawn(self, obs: Any) -> np.ndarray | None:
        """What would be seen where `obs` is; None if that cannot be told."""
        if is_image(self.obs):
            return pixels(np.asarray(obs), highest(self.obs))
        state_of: Callable[[Any], Any] | None = getattr(self.env, "state_of", None)
        if self._render is None or state_of is None:
            return None
        return checked(self._render(state_of(obs)), self.name)

    def close(self) -> None:
        """There is nothing to close."""


class OnHost:
    """A hosted environment made with `mode` ("rgb_array", "human" or "ansi"), looked at before it resets itself.

    With None nobody looks.
    """

    def __init__(self, source: HostedSource, seed: int, mode: str | None):
        self.name, self._mode, self._filmed = source.name, mode, None  # type: str, str | None, Filmed | None
        self._hosted = HostedSource(self._factory(source), source.kwargs, "sync").vector(1, seed, mode)
        self.obs, self.action, _ = self._hosted.spec
        self.fps: float = (self._filmed.metadata or {}).get("render_fps") or 30 if self._filmed else 30
        self._next: Any = None
        self._seen: Any = None

    def _factory(self, source: HostedSource) -> Callable[..., gym.Env]:
        def factory(**kwargs: Any) -> gym.Env:
            self._filmed = Filmed(_made(source, kwargs))
            self._filmed.looked_at = self._mode is not None
            return self._filmed

        factory.__name__ = source.name
        return factory

    def reset(self) -> Any:
        """Begin an episode -> obs."""
        obs, self._next = self._hosted.reset() if self._next is None else self._next, None
        self._seen = self._look()
        return _one(obs)

    def step(self, action: Any) -> Outcome:
        """One step."""
        arrival = self._hosted.step(jax.tree.map(lambda x: np.asarray(x)[None], action))
        self._seen, last = self._filmed.seen, bool(arrival.last[0])  # type: ignore[union-attr]
        self._next = arrival.obs if last else None
        return _one(arrival.outcome)

    def picture(self) -> np.ndarray | None:
        """What it looks like now."""
        return checked(self._seen, self.name) if self._mode == "rgb_array" else None

    def text(self) -> str | None:
        """The same in letters."""
        return str(self._seen) if self._mode == "ansi" else None

    def drawn(self, obs: Any) -> np.ndarray | None:
        """What would be seen where `obs` is; None if that cannot be told."""
        return pixels(np.asarray(obs), highest(self.obs)) if is_image(self.obs) else None

    def close(self) -> None:
        """Close the environment and its window."""
        self._hosted.close()

    def _look(self) -> Any:
        try:
            return self._filmed.look()  # type: ignore[union-attr]
        except gym.error.DependencyNotInstalled as error:
            raise MissingDependency(
                f'{self.name} cannot be drawn ({error}): pip install "bellmax[watch]", or what the message names.'
            ) from error
        except NotImplementedError as error:
            raise CannotWatch(
                f"{self.name} has no render(): give it one that returns a picture, uint8 [height, width, 3], when it "
                'was made with render_mode="rgb_array".'
            ) from error


def _made(source: HostedSource, kwargs: dict[str, Any]) -> gym.Env:
    """One environment; an object that nobody knows how to make again is taken as it is."""
    made, mode = source.made, kwargs.get("render_mode")
    if isinstance(made, gym.Env) and made.spec is None and mode not in (None, made.render_mode):
        raise CannotWatch(
            f"{source.name} was made with render_mode={made.render_mode!r}: make it with {mode!r}, or pass its class."
        )
    try:
        env = make(recipe_of(made, source.name), kwargs, source.name)
    except Uncopyable:
        env = made  # type: ignore[assignment]
    return surrounded(env, source.around)


class Filmed(gym.Wrapper):
    """Looks at the environment after every step, before anybody can reset it."""

    seen: Any = None
    looked_at = True

    def step(self, action: Any) -> Any:
        answer = self.env.step(action)
        self.seen = self.look()
        return answer

    def look(self) -> Any:
        """What the environment shows now; a window draws itself."""
        return self.env.render() if self.looked_at and self.env.render_mode != "human" else None


def checked(picture: Any, name: str) -> np.ndarray:
    """The picture, if it is one."""
    array = np.asarray(picture)
    if array.ndim != 3 or array.shape[-1] != 3 or array.dtype != np.uint8:
        kind = f"{array.dtype} {array.shape}" if array.dtype != object else type(picture).__name__
        raise CannotWatch(f"{name}.render() returned {kind}: it must return a picture, uint8 [height, width, 3].")
    return array


def highest(space: Box) -> float | None:
    """The number that stands for white, if the space says so."""
    high = float(space.bounds()[1].max())
    return high if np.isfinite(high) else None


def pixels(obs: np.ndarray, high: float | None = None) -> np.ndarray:
    """An observed picture, channels first or last, as colours; more than three channels get a colour each.

    `high` is white; the largest number that is seen, if it is not given.
    """
    if obs.shape[0] < obs.shape[-1]:
        obs = obs.transpose(1, 2, 0)
    scaled = obs.astype(np.float64) / (255 if obs.dtype == np.uint8 else high or max(float(obs.max()), 1e-9))
    channels = obs.shape[-1]
    if channels == 3:
        return np.round(255 * scaled.clip(0, 1)).astype(np.uint8)
    hue = 2 * np.pi * (np.arange(channels)[:, None] / channels + np.array([0, 2, 1]) / 3)
    colours = np.ones((1, 3)) if channels == 1 else 0.55 + 0.45 * np.cos(hue)
    return np.round(255 * (scaled.clip(0, 1)[..., None] * colours).max(-2)).astype(np.uint8)


def _one(batch: Any) -> Any:
    return jax.tree.map(lambda x: x[0], batch)
