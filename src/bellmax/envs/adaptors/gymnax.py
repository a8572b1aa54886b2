"""Gymnax environments (https://github.com/RobertTLange/gymnax, 1.0 and later) as in-graph worlds."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.adaptors.settled import pairs, settled
from bellmax.spaces import Box, Discrete, Tree


class Gymnax(Env):
    """A Gymnax environment by its name: `Gymnax("CartPole-v1", {"max_steps_in_episode": 200})`.

    `options` are parameters of the environment or arguments of its constructor, as a mapping or as pairs; they are
    structure, so another value compiles again. Gymnax's own `step` resets an environment that ended, and computes that
    reset in every step; this adaptor calls the step underneath, so the final observation is the true one.
    """

    name: str = "CartPole-v1"
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", pairs(self.options))
        Env.__post_init__(self)
        _made(self.name, self.options)

    @property
    def spec(self) -> Spec:
        return _made(self.name, self.options)[2]

    def reset(self, key: Array) -> tuple[Any, Any]:
        env, params, spec = _made(self.name, self.options)
        obs, env_state = env.reset_env(key, params)
        return settled(env_state), _cast(spec.obs, obs)

    def step(self, env_state: Any, action: Any, key: Array) -> tuple[Any, Outcome]:
        env, params, spec = _made(self.name, self.options)
        obs, env_state, reward, terminated, _ = env.step_env(key, env_state, action, params)
        terminated = jnp.asarray(terminated, bool)
        last = terminated | env.is_truncated(env_state, params)
        discount = 1 - terminated.astype(jnp.float32)
        outcome = Outcome(_cast(spec.obs, obs), jnp.asarray(reward, jnp.float32), discount, last)
        return settled(env_state), outcome


def names() -> list[str]:
    """The names that `Gymnax` knows."""
    return list(_library().registered_envs)


def named(name: str, options: dict[str, Any]) -> Gymnax:
    """The environment of a name."""
    return Gymnax(name, pairs(options))


def _library() -> Any:
    try:
        import gymnax
        from gymnax.environments.environment import Environment
    except ImportError as error:
        raise MissingDependency(f'Gymnax environments need gymnax ({error}): pip install "bellmax[gymnax]"') from error
    if "is_truncated" not in vars(Environment):
        raise MissingDependency(
            "the gymnax installed here is older than 1.0 and cannot tell time limits from terminations: "
            'pip install "bellmax[gymnax]"'
        )
    return gymnax


@functools.lru_cache(maxsize=256)
def _made(name: str, options: tuple[tuple[str, Any], ...]) -> tuple[Any, Any, Spec]:
    """The Gymnax object, its parameters and the spec, made once and never as part of a compiled function."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 3) or names()
        raise ValueError(f"Gymnax.name = {name!r}: there is no such environment; did you mean {', '.join(near)}?")
    with jax.ensure_compile_time_eval():
        env, params = _library().make(name)
        inner = {field.name for field in dataclasses.fields(params)}
        outer = set(inspect.signature(type(env)).parameters) - inner
        _check_options(name, options, sorted(inner | outer))
        if any(key in outer for key, _ in options):
            env, params = _library().make(name, **{key: value for key, value in options if key in outer})
        params = params.replace(**{key: value for key, value in options if key in inner})
        spec = Spec(_space(env.observation_space(params)), _space(env.action_space(params)))
    return env, params, spec


def _check_options(name: str, options: tuple[tuple[str, Any], ...], known: list[str]) -> None:
    for key, _ in options:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}."
            raise ValueError(f"Gymnax({name!r}) has no option {key!r}: {hint}")


def _space(space: Any) -> Tree:
    """Gymnax's space in bellmax's terms. Bounds at the largest float mean that there is none."""
    from gymnax.environments import spaces

    if isinstance(space, spaces.Discrete):
        return Discrete(int(space.n))
    if isinstance(space, spaces.Dict):
        return {name: _space(inner) for name, inner in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_space(inner) for inner in space.spaces)
    if isinstance(space, spaces.Box):
        shape = tuple(int(size) for size in space.shape)
        return Box(shape, _bound(space.low, shape), _bound(space.high, shape), np.dtype(space.dtype).name)
    raise ValueError(
        f"Gymnax's space {space} has no counterpart: use an environment with Discrete, Box, Dict or Tuple."
    )


def _bound(bound: Any, shape: tuple[int, ...]) -> float | tuple[float, ...]:
    array = np.asarray(bound, np.float32)
    array = np.where(np.abs(array) >= np.finfo(np.float32).max, np.copysign(np.inf, array), array)
    if array.ndim == 0 or (array == array.flat[0]).all():
        return float(array.flat[0])
    return tuple(float(x) for x in np.broadcast_to(array, shape).ravel())


def _cast(space: Tree, obs: Any) -> Any:
    """The observation in the dtypes that the spec promises; some environments return others than they declare."""
    return jax.tree.map(lambda leaf, x: jnp.asarray(x, leaf.dtype if isinstance(leaf, Box) else jnp.int32), space, obs)
