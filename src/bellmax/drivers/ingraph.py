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
    BLOCK,
    all_finite,
    begin_all,
    eats,
    example_transition,
    learn,
    learn_or_keep,
    means,
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
    stacked = run.round.ndim == 1
    one_round = functools.partial(tick, algorithm, env)
    if stacked:
        swept = jax.tree.map(lambda x: 0 if jnp.ndim(x) else None, algorithm)
        one_round = functools.partial(jax.vmap(tick, (swept, None, 0)), algorithm, env)
    shapes = jax.eval_shape(one_round, run)[1]
    total = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    in_blocks = not stacked and eats(algorithm).length == 1 and not eats(algorithm).whole

    def go_on(carry: tuple[Array, Run, dict[str, Array]]) -> Array:
        index, run, total = carry
        return (index < rounds) & run.sound.any() & (total["steps"] < most_steps).any()

    def body(carry: tuple[Array, Run, dict[str, Array]]) -> tuple[Array, Run, dict[str, Array]]:
        index, run, total = carry
        count = jnp.int32(1)
        if in_blocks:
            left = -(-(most_steps - total["steps"]) // len(run.place.score))
            count = jnp.minimum(BLOCK - run.round % BLOCK, jnp.minimum(rounds - index, left)).astype(jnp.int32)
        run, metrics = ticks(algorithm, env, run, count) if in_blocks else one_round(run)
        return index + count, run, jax.tree.map(lambda old, x: jnp.where(run.sound, old + x, old), total, metrics)

    return jax.lax.while_loop(go_on, body, (jnp.int32(0), run, total))[1:]


def tick(algorithm: Algorithm, env: Env, run: Run) -> tuple[Run, dict[str, Array]]:
    """One round: collect, remember, learn. A round that is not sound leaves the run as it was, but for its buffer."""
    place, fresh, tally = collect(algorithm, env, run)
    learn_key = round_keys(run.key, run.round, eats(algorithm).length).learn
    buffer = eats(algorithm).add(run.buffer, fresh)
    state, metrics, sound = learn_or_keep(algorithm, run.state, buffer, fresh, learn_key)
    place = jax.tree.map(lambda new, old: jnp.where(sound, new, old), place, run.place)
    return Run(state, buffer, place, run.key, run.round + sound, sound), metrics | tally | {"rounds": jnp.int32(1)}


def ticks(algorithm: Algorithm, env: Env, run: Run, count: Array) -> tuple[Run, dict[str, Array]]:
    """`count` rounds of one step each within a block -> run, metrics summed. As so many ticks, without what costs most:

    keys are drawn for the whole block, and whether all is sound is asked at its end. If it is not, the run stands where
    the block began (see `replay`).
    """
    alive, keys = jnp.ones(len(run.place.score)), round_keys(run.key, run.round, 1)
    acting = jax.vmap(step_keys, (None, 0, None))(keys.step, jnp.arange(BLOCK), len(alive))

    def one(index: Array, carry: tuple[Any, Any, Place, Any]) -> tuple[Any, Any, Place, Any]:
        state, buffer, place, total = carry
        t = keys.first + index
        place, transition = step_all(algorithm, env, state, place, acting[t], alive)
        tally = count_steps(place, transition, alive)
        place = restart(algorithm, env, state, place, transition.last, keys.reset, t)
        fresh = jax.tree.map(lambda x: x[None], transition)
        buffer = eats(algorithm).add(buffer, fresh)
        learn_key = round_keys(run.key, run.round + index, 1).learn
        state, metrics = learn(algorithm, state, buffer, fresh, learn_key)
        gained = means(metrics) | tally | {"rounds": jnp.int32(1)}
        return state, buffer, place, gained if total is None else jax.tree.map(jnp.add, total, gained)

    start = run.state, run.buffer, run.place
    shapes = jax.eval_shape(one, jnp.int32(0), (*start, None))[3]
    total = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    state, buffer, place, total = jax.lax.fori_loop(0, count, one, (*start, total))
    sound = all_finite(total)
    state, place = jax.tree.map(lambda new, old: jnp.where(sound, new, old), (state, place), (run.state, run.place))
    return Run(state, buffer, place, run.key, run.round + jnp.where(sound, count, 0), sound), total


def replay(algorithm: Algorithm, env: Env, run: Run) -> Run:
    """A run that is not sound, at the round that breaks it: rounds of one step are taken back by the block."""
    ticking = run._replace(sound=jnp.bool_(True)), jnp.int32(0)
    limit = BLOCK if eats(algorithm).length == 1 else 1
    return jax.lax.while_loop(
        lambda carry: carry[0].sound & (carry[1] < limit),
        lambda carry: (tick(algorithm, env, carry[0])[0], carry[1] + 1),
        ticking,
    )[0]


def last_batch(algorithm: Algorithm, env: Env, run: Run) -> tuple[Transition, Array]:
    """For a run that is not sound: the steps of the round that broke it, and the key it learned with."""
    return collect(algorithm, env, run)[1], round_keys(run.key, run.round, eats(algorithm).length).learn


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
    round = round_keys(run.key, run.round, length)
    if whole:
        place = reset(algorithm, env, state, round.reset, num_envs)

    def step(carry: tuple[Place, Array], now: tuple[Array, Array, Array]) -> Any:
        (place, alive), (keys, t, at_end) = carry, now
        place, transition = step_all(algorithm, env, state, place, keys, alive)
        if whole:
            transition = transition._replace(last=transition.last | at_end)
        tally = count_steps(place, transition, alive)
        if whole:
            return (place, alive * (1.0 - transition.last)), (transition, tally)
        return (restart(algorithm, env, state, place, transition.last, round.reset, t), alive), (transition, tally)

    steps = round.first + jnp.arange(length)
    keys = jax.vmap(step_keys, (None, 0, None))(round.step, steps, num_envs)
    inputs = keys, steps, jnp.arange(length) == length - 1
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


def restart(algorithm: Algorithm, env: Env, state: Any, place: Place, last: Array, key: Array, t: Array) -> Place:
    """A new episode where the old one ended. The reset, and its key, are computed only in steps in which one did."""

    def fresh() -> Place:
        return where(last, reset(algorithm, env, state, jax.random.fold_in(key, t), len(place.score)), place)

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
