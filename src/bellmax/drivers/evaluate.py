"""How good is a policy? Whole episodes, each counted once, in either kind of environment.

Short episodes are not favoured: every environment plays a fixed number of episodes, however long they last. Statistics
inside the algorithm (normalisers) do not move.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Env, Outcome
from bellmax.drivers.hosted import HostedEnvs
from bellmax.drivers.learn import begin_all, hear_all, where
from bellmax.spaces import confine


class Evaluation(NamedTuple):
    """The outcome of whole episodes."""

    scores: np.ndarray  # [episode]: sums of rewards
    lengths: np.ndarray  # [episode]: steps
    cut: np.ndarray  # [episode]: True where `most_steps` ended it, so that its score is only a part

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(self.scores.mean())


def ingraph(
    algorithm: Algorithm,
    env: Env,
    state: Any,
    key: Array,
    *,
    episodes: int = 100,
    greedy: bool = True,
    most_steps: int = 100_000,
) -> Evaluation:
    """Play `episodes` episodes side by side in a JAX environment, none longer than `most_steps`."""
    scores, lengths, alive = play(algorithm, env, state, key, jnp.int32(most_steps), episodes, greedy)
    return Evaluation(np.asarray(scores), np.asarray(lengths), np.asarray(alive))


@functools.partial(jax.jit, static_argnames=("episodes", "greedy"))
def play(
    algorithm: Algorithm, env: Env, state: Any, key: Array, most_steps: Array, episodes: int, greedy: bool
) -> tuple[Array, Array, Array]:
    """Episodes side by side, inside any transformation of JAX -> scores, lengths, which were cut, [episode] each."""
    choose = algorithm.greedy if greedy else algorithm.act
    reset_key, begin_key, step_key = jax.random.split(key, 3)
    env_state, obs = jax.vmap(env.reset)(jax.random.split(reset_key, episodes))
    memory = begin_all(algorithm, state, obs, begin_key)

    def go_on(carry: Any) -> Array:
        alive, t = carry[-2:]
        return alive.any() & (t < most_steps)

    def step(carry: Any) -> Any:
        env_state, obs, memory, scores, lengths, alive, t = carry
        keys = jax.random.split(jax.random.fold_in(step_key, t), (2, episodes))
        decision = jax.vmap(choose, (None, 0, 0, 0))(state, obs, keys[0], memory)
        action = confine(env.spec.action, decision.action)
        env_state, outcome = jax.vmap(env.step)(env_state, action, keys[1])
        (obs, reward, _, last), memory = outcome, hear_all(algorithm, state, decision.memory, outcome)
        scores, lengths = scores + jnp.where(alive, reward, 0), lengths + alive
        return env_state, obs, memory, scores, lengths, alive & ~jnp.asarray(last, bool), t + 1

    fresh = jnp.zeros(episodes), jnp.zeros(episodes, jnp.int32), jnp.ones(episodes, bool), jnp.int32(0)
    return jax.lax.while_loop(go_on, step, (env_state, obs, memory, *fresh))[3:6]


def hosted(
    algorithm: Algorithm,
    envs: HostedEnvs,
    state: Any,
    key: Array,
    *,
    episodes: int = 100,
    greedy: bool = True,
    most_steps: int = 100_000,
) -> Evaluation:
    """Play `episodes` episodes in environments on the host, each environment the same number of them (+-1).

    `most_steps` bounds the steps of one environment for each of its episodes.
    """
    quota = np.full(envs.num_envs, episodes // envs.num_envs)
    quota[: episodes % envs.num_envs] += 1
    slots = [[] for _ in range(envs.num_envs)]  # type: list[list[tuple[float, int, bool]]]
    score, length, t = np.zeros(envs.num_envs), np.zeros(envs.num_envs, int), 0
    obs = envs.reset()
    algorithm, state = jax.tree.map(jnp.asarray, (algorithm, state))
    memory = _begin(algorithm, state, obs, key)
    limit = most_steps * int(quota.max())
    while any(len(slot) < n for slot, n in zip(slots, quota)):
        action, memory = _choose(algorithm, state, obs, memory, key, np.int32(t), greedy, envs.spec.action)
        arrival, t = envs.step(jax.tree.map(np.asarray, action)), t + 1
        memory = _hear(algorithm, state, memory, arrival.outcome) if jax.tree.leaves(memory) else memory
        real = arrival.weight > 0
        score, length, obs = score + arrival.reward * real, length + real, arrival.obs
        for i in np.flatnonzero((arrival.last & real) | (t >= limit)):
            slots[i].append((score[i], length[i], t >= limit))
            score[i] = length[i] = 0
        if t >= limit:
            break
        if arrival.last.any():
            memory = _begin_again(algorithm, state, obs, memory, arrival.last, key, np.int32(t))
    rows = [row for slot, n in zip(slots, quota) for row in slot[:n]]
    return Evaluation(*(np.array(column) for column in zip(*rows)))


@jax.jit
def _begin(algorithm: Algorithm, state: Any, obs: Any, key: Array) -> Any:
    return begin_all(algorithm, state, obs, key)


@jax.jit
def _hear(algorithm: Algorithm, state: Any, memory: Any, outcome: Outcome) -> Any:
    return hear_all(algorithm, state, memory, outcome)


@jax.jit
def _begin_again(algorithm: Algorithm, state: Any, obs: Any, memory: Any, last: Array, key: Array, t: Array) -> Any:
    return where(last, begin_all(algorithm, state, obs, jax.random.fold_in(jax.random.fold_in(key, 1), t)), memory)


@functools.partial(jax.jit, static_argnames=("greedy", "space"))
def _choose(
    algorithm: Algorithm, state: Any, obs: Any, memory: Any, key: Array, t: Array, greedy: bool, space: Any
) -> tuple[Any, Any]:
    """-> what the environments get, memories."""
    keys = jax.random.split(jax.random.fold_in(key, t), jax.tree.leaves(obs)[0].shape[0])
    choose = algorithm.greedy if greedy else algorithm.act
    decision = jax.vmap(choose, (None, 0, 0, 0))(state, obs, keys, memory)
    return confine(space, decision.action), decision.memory
