"""Brax environments (https://github.com/google/brax, 0.14 and later) as in-graph worlds."""

from __future__ import annotations

import difflib
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.adaptors.settled import pairs, settled
from bellmax.ranges import Count
from bellmax.spaces import Box


class BraxState(NamedTuple):
    """What Brax carries, and the time."""

    inner: Any  # brax.envs.State
    time: Array  # int32, steps taken in this episode


class Brax(Env):
    """A Brax environment by its name: `Brax("ant", {"backend": "spring"})`.

    Freeman et al., Brax, 2021 (https://arxiv.org/abs/2106.13281). `options` are arguments of the environment's
    constructor, as a mapping or as pairs. Episodes are cut short after `max_steps`, as by Brax's own wrapper; that
    wrapper's resets to one and the same first state are not used: every episode has a start of its own.
    """

    name: str = "ant"
    options: tuple[tuple[str, Any], ...] = ()
    max_steps: Count = 1000

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", pairs(self.options))
        Env.__post_init__(self)
        _made(self.name, self.options)

    @property
    def spec(self) -> Spec:
        return _made(self.name, self.options)[1]

    def reset(self, key: Array) -> tuple[BraxState, Any]:
        inner = settled(_made(self.name, self.options)[0].reset(key))
        return BraxState(inner, jnp.int32(0)), _floats(inner.obs)

    def step(self, env_state: BraxState, action: Array, key: Array) -> tuple[BraxState, Outcome]:
        inner = settled(_made(self.name, self.options)[0].step(env_state.inner, action))
        time, terminated = env_state.time + 1, inner.done > 0
        outcome = Outcome(
            _floats(inner.obs),
            jnp.asarray(inner.reward, jnp.float32),
            1 - terminated.astype(jnp.float32),
            terminated | (time >= self.max_steps),
        )
        return BraxState(inner, time), outcome


def names() -> list[str]:
    """The names that `Brax` knows."""
    return list(_library()._envs)


def named(name: str, options: dict[str, Any]) -> Brax:
    """The environment of a name; among the options, `max_steps` is bellmax's own."""
    own = {"max_steps": options["max_steps"]} if "max_steps" in options else {}
    return Brax(name, pairs({key: value for key, value in options.items() if key not in own}), **own)


def _library() -> Any:
    try:
        from brax import envs
    except ImportError as error:
        raise MissingDependency(f'Brax environments need brax ({error}): pip install "bellmax[brax]"') from error
    return envs


@functools.lru_cache(maxsize=64)
def _made(name: str, options: tuple[tuple[str, Any], ...]) -> tuple[Any, Spec]:
    """The Brax object and the spec, made once and never as part of a compiled function."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 3) or names()
        raise ValueError(f"Brax.name = {name!r}: there is no such environment; did you mean {', '.join(near)}?")
    try:
        with jax.ensure_compile_time_eval():
            env = _library().get_environment(name, **dict(options))
    except TypeError as error:
        raise ValueError(f"Brax({name!r}) does not take {', '.join(dict(options))}: {error}.") from error
    obs = jax.eval_shape(lambda key: _floats(env.reset(key).obs), jax.eval_shape(lambda: jax.random.key(0)))
    action = Box((int(env.action_size),), -1.0, 1.0)
    return env, Spec(jax.tree.map(lambda x: Box(tuple(x.shape)), obs), action)


def _floats(obs: Any) -> Any:
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), obs)
