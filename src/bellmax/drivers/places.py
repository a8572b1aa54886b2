"""Where JAX environments stand, and what a step and the start of an episode do to them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Env, Outcome, Transition
from bellmax.drivers import traced
from bellmax.drivers.learn import begin_all, eats, hear_all, where
from bellmax.spaces import confine


class Place(NamedTuple):
    """Where every environment stands; each leaf is [env, ...]."""

    env_state: Any
    obs: Any
    memory: Any
    score: Array  # sum of rewards of the running episode
    length: Array  # its steps


def reset(
    algorithm: Algorithm, env: Env, state: Any, key: Array, num_envs: int, before: Any = None, last: Any = None
) -> Place:
    """A new episode everywhere; environments of one group start alike. `before`: the place that they stood in, if they
    did, and `last`, where an episode has ended."""
    env_key, memory_key = jax.random.split(key)
    group = eats(algorithm).group
    keys = jnp.repeat(jax.random.split(env_key, -(-num_envs // group)), group, axis=0)[:num_envs]
    env_state, obs = jax.vmap(env.reset)(keys) if before is None else env.restart(before.env_state, last, keys)
    memory = begin_all(algorithm, state, obs, memory_key)
    return Place(env_state, obs, memory, jnp.zeros(num_envs), jnp.zeros(num_envs, jnp.int32))


def step_all(
    algorithm: Algorithm, env: Env, state: Any, place: Place, keys: Array, alive: Array
) -> tuple[Place, Transition]:
    """One step of every environment; keys: [2, env], alive: [env], 0 where the episode is over already."""
    decision = jax.vmap(traced.act, (None, None, 0, 0, 0))(algorithm, state, place.obs, keys[0], place.memory)
    action = confine(env.spec.action, decision.action)
    env_state, (obs, reward, discount, last) = jax.vmap(env.step)(place.env_state, action, keys[1])
    reward = jnp.asarray(reward, jnp.float32) * alive
    discount, last = jnp.asarray(discount, jnp.float32), jnp.asarray(last, bool)
    transition = Transition(place.obs, decision.action, reward, discount, last, obs, decision.extras, alive)
    length = place.length + (alive > 0)
    memory = hear_all(algorithm, state, decision.memory, Outcome(obs, reward, discount, last))
    return Place(env_state, obs, memory, place.score + reward, length), transition


def restart(algorithm: Algorithm, env: Env, state: Any, place: Place, last: Array, key: Array, t: Array) -> Place:
    """A new episode where the old one ended. The reset, and its key, are computed only in steps in which one did."""

    def fresh() -> Place:
        now = reset(algorithm, env, state, jax.random.fold_in(key, t), len(place.score), place, last)
        return where(last, now, place)

    return jax.lax.cond(last.any(), fresh, lambda: place)


def count_steps(place: Place, transition: Transition, alive: Array) -> dict[str, Array]:
    """What one step adds to the tally: steps taken, episodes that ended, and the sums of their scores and lengths."""
    ended = transition.last & (alive > 0)
    return {
        "steps": (alive > 0).sum(),
        "episodes": ended.sum(),
        "score": jnp.where(ended, place.score, 0).sum(),
        "length": jnp.where(ended, place.length, 0).sum(),
    }
