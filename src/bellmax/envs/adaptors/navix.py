"""Navix environments, MiniGrid in JAX (https://github.com/epignatelli/navix, 0.7 and later), as in-graph worlds."""

from __future__ import annotations

import difflib
import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.adaptors.settled import pairs, settled
from bellmax.ranges import Count
from bellmax.spaces import Box, Discrete

TERMINATION = 2  # navix.environments.environment.StepType
LARGEST = 10  # of what a cell can hold; colours and states are fewer


class Navix(Env):
    """A Navix environment by its name: `Navix("Navix-DoorKey-5x5-v0")`.

    Pignatelli et al., Navix, 2024 (https://arxiv.org/abs/2407.19396). `options` are arguments of the environment's
    `create`, as a mapping or as pairs. Navix's own `step` begins the next episode; this adaptor calls the step
    underneath. Observation by default as in MiniGrid: what the agent has in front of it, uint8 [7, 7, 3], the kind,
    colour and state of each cell.
    """

    name: str = "Navix-Empty-5x5-v0"
    options: tuple[tuple[str, Any], ...] = ()
    shown: Literal["symbolic_first_person", "symbolic", "rgb_first_person", "rgb"] = "symbolic_first_person"
    max_steps: Count = 100  # as in Navix, fewer than in most of MiniGrid

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", pairs(self.options))
        Env.__post_init__(self)
        self._made()

    @property
    def spec(self) -> Spec:
        env = self._made()
        high = 255.0 if self.shown.startswith("rgb") else float(LARGEST)
        return Spec(Box(tuple(env.observation_space.shape), 0.0, high, "uint8"), Discrete(len(env.action_set)))

    def reset(self, key: Array) -> tuple[Any, Array]:
        now = settled(self._made().reset(key))
        return now, _pixels(now.observation)

    def step(self, env_state: Any, action: Array, key: Array) -> tuple[Any, Outcome]:
        before = env_state.replace(state=env_state.state.replace(key=key))
        now = settled(self._made()._step(before, action))
        discount = 1 - (now.step_type == TERMINATION).astype(jnp.float32)
        reward = jnp.asarray(now.reward, jnp.float32)
        return now, Outcome(_pixels(now.observation), reward, discount, now.step_type > 0)

    def _made(self) -> Any:
        return _environment(self.name, self.options, self.shown, self.max_steps)


def names() -> list[str]:
    """The names that `Navix` knows."""
    return list(_library().registry())


def named(name: str, options: dict[str, Any]) -> Navix:
    """The environment of a name; among the options, `max_steps` and `shown` are bellmax's own."""
    own = {key: options[key] for key in ("max_steps", "shown") if key in options}
    return Navix(name, pairs({key: value for key, value in options.items() if key not in own}), **own)


def _library() -> Any:
    try:
        import navix
    except ImportError as error:
        raise MissingDependency(f'Navix environments need navix ({error}): pip install "bellmax[navix]"') from error
    return navix


@functools.lru_cache(maxsize=64)
def _environment(name: str, options: tuple[tuple[str, Any], ...], shown: str, max_steps: int) -> Any:
    """The Navix object, made once and never as part of a compiled function."""
    library = _library()
    if name not in library.registry():
        near = difflib.get_close_matches(name, names(), 3) or names()
        raise ValueError(f"Navix.name = {name!r}: there is no such environment; did you mean {', '.join(near)}?")
    look = getattr(library.observations, shown)
    try:
        with jax.ensure_compile_time_eval():
            return library.make(name, max_steps=max_steps, observation_fn=look, **dict(options))
    except TypeError as error:
        raise ValueError(f"Navix({name!r}) does not take {', '.join(dict(options))}: {error}.") from error


def _pixels(obs: Array) -> Array:
    return jnp.asarray(obs, np.uint8)
