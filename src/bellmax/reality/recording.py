"""What was measured: transitions of a system, from wherever they come."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.core import Env
from bellmax.envs.names import find
from bellmax.spaces import sample


class Log(NamedTuple):
    """Transitions, one a row. `next_obs` is the true successor, never the first observation of the next episode."""

    obs: np.ndarray  # float [n, numbers observed]
    action: np.ndarray  # [n, ...]
    next_obs: np.ndarray  # float [n, numbers observed]


def log_of(given: Any) -> Log:
    """A log from what has `obs`, `action` and `next_obs`: a Log, a Transition [n], a mapping. Raises ValueError."""
    parts = given if isinstance(given, Mapping) else {name: getattr(given, name, None) for name in Log._fields}
    missing = [name for name in Log._fields if parts.get(name) is None]
    if missing:
        raise ValueError(f"the log has no {missing[0]}: give rows of obs, action and next_obs.")
    log = Log(*(np.asarray(parts[name]) for name in Log._fields))
    if log.obs.ndim != 2 or log.obs.shape != log.next_obs.shape or len(log.action) != len(log.obs) or not len(log.obs):
        shapes = ", ".join(f"{name} {np.shape(part)}" for name, part in zip(Log._fields, log))
        raise ValueError(f"the log has {shapes}: obs and next_obs must be [n, numbers], action [n, ...].")
    return log


def record(env: Any, steps: int, *, seed: int = 0, policy: Callable[[Any], Any] | None = None) -> Log:
    """Take `steps` steps in what `find` takes, one episode after the other -> what was measured.

    Actions are drawn evenly, or are `policy(obs)`. Observations must be one vector of numbers.
    """
    source = find(env)
    if isinstance(source, Env) and policy is None:
        return log_of(jax.device_get(_recorded(source, steps, jax.random.key(seed))))
    if isinstance(source, Env):
        from bellmax.envs.adaptors.as_gymnasium import AsGymnasium
        from bellmax.envs.adaptors.gymnasium import HostedSource

        source = HostedSource(functools.partial(AsGymnasium, source))
    return _recorded_on_host(source, steps, seed, policy)


def _recorded(env: Env, steps: int, key: jax.Array) -> Log:
    def step(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], Log]:
        env_state, obs = carry
        action_key, step_key, reset_key = jax.random.split(key, 3)
        action = sample(env.spec.action, action_key)
        after, outcome = env.step(env_state, action, step_key)
        begun = env.reset(reset_key)
        on = jax.tree.map(lambda new, old: jnp.where(outcome.last, new, old), begun, (after, outcome.obs))
        return on, Log(obs, action, outcome.obs)

    reset_key, key = jax.random.split(key)
    return jax.jit(lambda: jax.lax.scan(step, env.reset(reset_key), jax.random.split(key, steps))[1])()


def _recorded_on_host(source: Any, steps: int, seed: int, policy: Callable[[Any], Any] | None) -> Log:
    hosted, rows = source.vector(1, seed), []
    draw = jax.jit(lambda key: sample(hosted.spec.action, key))
    obs = hosted.reset()[0]
    for key in jax.random.split(jax.random.key(seed), steps):
        action = np.asarray(draw(key) if policy is None else policy(obs))
        arrival = hosted.step(action[None])
        rows.append((obs, action, arrival.next_obs[0]))
        obs = arrival.obs[0]
    hosted.close()
    return log_of(Log(*map(np.stack, zip(*rows))))
