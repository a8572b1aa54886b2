"""Drive an algorithm in JAX environments, all of it in the graph: jit, vmap and grad go through a whole run.

    run, metrics = ingraph.train(PPO(), CartPole(), jax.random.key(0), steps=100_000, num_envs=8)

is pure. `start` and `advance` cut the same run in pieces: a run that is stopped, saved, loaded and advanced is
bit for bit the run that was never stopped, because everything it knows is one tree.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Env, Spec, Transition
from bellmax.drivers.learn import (
    begin_all,
    eats,
    example_transition,
    learn_or_keep,
    round_keys,
    round_size,
    step_keys,
    where,
)
from bellmax.spaces import confine


class Place(NamedTuple):
    """Where every environment stands; each leaf is [env, ...]."""

    env_state: Any
    obs: Any
    memory: Any
    score: Array  # sum of rewards of the running episode
    length: Array  # its steps


class Run(NamedTuple):
    """Everything a training run knows."""

    state: Any  # what the algorithm has learned
    buffer: Any  # what its experience has stored
    place: Place
    key: Array
    round: Array  # rounds that were completed
    sound: Array  # False once a metric was NaN or infinite: the run stands still from there


def train(algorithm: Algorithm, env: Env, key: Array, *, steps: int, num_envs: int = 1) -> tuple[Run, dict[str, Array]]:
    """Train for `steps` environment steps -> run, metrics of every round [round]. Pure."""
    rounds = -(-steps // round_size(algorithm, num_envs))
    run = start(algorithm, env, key, num_envs)
    return jax.lax.scan(lambda run, _: tick(algorithm, env, run), run, length=rounds)


def start(algorithm: Algorithm, env: Env, key: Array, num_envs: int = 1) -> Run:
    """A run that has seen nothing."""
    init_key, place_key, run_key = jax.random.split(key, 3)
    spec = Spec(env.spec.obs, env.spec.action, num_envs)
    state = algorithm.init(init_key, spec)
    buffer = eats(algorithm).empty(example_transition(algorithm, state, spec), num_envs)
    place = reset(algorithm, env, state, place_key, num_envs)
    return Run(state, buffer, place, run_key, jnp.int32(0), jnp.bool_(True))


@functools.partial(jax.jit, donate_argnums=2)
def advance(algorithm: Algorithm, env: Env, run: Run, rounds: Array, most_steps: Array) -> tuple[Run, dict[str, Array]]:
    """Up to `rounds` more rounds, fewer once `most_steps` steps are taken -> run, metrics summed over the rounds.

    One compilation serves every number of rounds. The sum has "rounds", and leaves out a round that is not sound.
    `run` may be many runs, stacked along a leading axis; then floats of `algorithm` may have that axis too.
    """
    one_round = functools.partial(tick, algorithm, env)
    if run.round.ndim == 1:
        swept = jax.tree.map(lambda x: 0 if jnp.ndim(x) else None, algorithm)
        one_round = functools.partial(jax.vmap(tick, (swept, None, 0)), algorithm, env)
    shapes = jax.eval_shape(one_round, run)[1]
    total = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def go_on(carry: tuple[Array, Run, dict[str, Array]]) -> Array:
        index, run, total = carry
        return (index < rounds) & run.sound.any() & (total["steps"] < most_steps).any()

    def body(carry: tuple[Array, Run, dict[str, Array]]) -> tuple[Array, Run, dict[str, Array]]:
        index, run, total = carry
        run, metrics = one_round(run)
        return index + 1, run, jax.tree.map(lambda old, x: jnp.where(run.sound, old + x, old), total, metrics)

    return jax.lax.while_loop(go_on, body, (jnp.int32(0), run, total))[1:]


def tick(algorithm: Algorithm, env: Env, run: Run) -> tuple[Run, dict[str, Array]]:
    """One round: collect, remember, learn. A round that is not sound leaves the run as it was, but for its buffer."""
    place, fresh, tally = collect(algorithm, env, run)
    learn_key = round_keys(run.key, run.round)[2]
    buffer = eats(algorithm).add(run.buffer, fresh)
    state, metrics, sound = learn_or_keep(algorithm, run.state, buffer, fresh, learn_key)
    place = jax.tree.map(lambda new, old: jnp.where(sound, new, old), place, run.place)
    return Run(state, buffer, place, run.key, run.round + sound, sound), metrics | tally | {"rounds": jnp.int32(1)}


def last_batch(algorithm: Algorithm, env: Env, run: Run) -> tuple[Transition, Array]:
    """For a run that is not sound: the steps of the round that broke it, and the key it learned with."""
    return collect(algorithm, env, run)[1], round_keys(run.key, run.round)[2]


def reset(algorithm: Algorithm, env: Env, state: Any, key: Array, num_envs: int) -> Place:
    """A new episode everywhere; environments of one group start alike."""
    env_key, memory_key = jax.random.split(key)
    group = eats(algorithm).group
    keys = jnp.repeat(jax.random.split(env_key, -(-num_envs // group)), group, axis=0)[:num_envs]
    env_state, obs = jax.vmap(env.reset)(keys)
    memory = begin_all(algorithm, state, obs, memory_key)
    return Place(env_state, obs, memory, jnp.zeros(num_envs), jnp.zeros(num_envs, jnp.int32))


def collect(algorithm: Algorithm, env: Env, run: Run) -> tuple[Place, Transition, dict[str, Array]]:
    """One round of steps everywhere -> place, transitions [time, env], and a tally of the episodes that ended."""
    experience, state, place = eats(algorithm), run.state, run.place
    whole, length, num_envs = experience.whole, experience.length, len(place.score)
    step_key, reset_key, _ = round_keys(run.key, run.round)
    if whole:
        place = reset(algorithm, env, state, reset_key, num_envs)

    def step(carry: tuple[Place, Array], now: tuple[Array, Array, Array]) -> Any:
        (place, alive), (keys, reset_key, at_end) = carry, now
        place, transition = step_all(algorithm, env, state, place, keys, alive)
        if whole:
            transition = transition._replace(last=transition.last | at_end)
        tally = count(place, transition, alive)
        if whole:
            return (place, alive * (1.0 - transition.last)), (transition, tally)
        return (restart(algorithm, env, state, place, transition.last, reset_key), alive), (transition, tally)

    keys = jax.vmap(step_keys, (None, 0, None))(step_key, jnp.arange(length), num_envs)
    inputs = keys, jax.random.split(reset_key, length), jnp.arange(length) == length - 1
    (place, _), (fresh, tally) = jax.lax.scan(step, (place, jnp.ones(num_envs)), inputs)
    return place, fresh, jax.tree.map(lambda x: x.sum(0), tally)


def step_all(
    algorithm: Algorithm, env: Env, state: Any, place: Place, keys: Array, alive: Array
) -> tuple[Place, Transition]:
    """One step of every environment; keys: [2, env], alive: [env], 0 where the episode is over already."""
    decision = jax.vmap(algorithm.act, (None, 0, 0, 0))(state, place.obs, keys[0], place.memory)
    action = confine(env.spec.action, decision.action)
    env_state, (obs, reward, discount, last) = jax.vmap(env.step)(place.env_state, action, keys[1])
    reward = jnp.asarray(reward, jnp.float32) * alive
    discount, last = jnp.asarray(discount, jnp.float32), jnp.asarray(last, bool)
    transition = Transition(place.obs, decision.action, reward, discount, last, obs, decision.extras, alive)
    length = place.length + (alive > 0)
    return Place(env_state, obs, decision.memory, place.score + reward, length), transition


def restart(algorithm: Algorithm, env: Env, state: Any, place: Place, last: Array, key: Array) -> Place:
    """A new episode where the old one ended. The reset is computed only in steps in which one did."""

    def fresh() -> Place:
        return where(last, reset(algorithm, env, state, key, len(place.score)), place)

    return jax.lax.cond(last.any(), fresh, lambda: place)


def count(place: Place, transition: Transition, alive: Array) -> dict[str, Array]:
    """What one step adds to the tally: steps taken, episodes that ended, and the sums of their scores and lengths."""
    ended = transition.last & (alive > 0)
    return {
        "steps": (alive > 0).sum(),
        "episodes": ended.sum(),
        "score": jnp.where(ended, place.score, 0).sum(),
        "length": jnp.where(ended, place.length, 0).sum(),
    }
