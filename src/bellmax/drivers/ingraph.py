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
    eats,
    example_transition,
    learn,
    learn_or_keep,
    means,
    round_keys,
    round_size,
    step_keys,
)
from bellmax.drivers.places import Place, count_steps, reset, restart, step_all


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
    waits = min(eats(algorithm).waits(num_envs), rounds)
    run = start(algorithm, env, key, num_envs)
    run, early = jax.lax.scan(lambda run, _: tick(algorithm, env, run, learns=False), run, length=waits)
    run, metrics = jax.lax.scan(lambda run, _: tick(algorithm, env, run), run, length=rounds - waits)
    early = {name: early.get(name, jnp.zeros((waits, *x.shape[1:]), x.dtype)) for name, x in metrics.items()}
    return run, jax.tree.map(lambda *x: jnp.concatenate(x), early, metrics)


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

    One compilation serves every number of rounds. The sum has "rounds", and "learning_rounds", how many were not
    only collecting; it leaves out a round that is not sound. `run` may be many runs, stacked along a leading axis; then
    floats of `algorithm` may have that axis too.
    """
    stacked = run.round.ndim == 1
    num_envs = run.place.score.shape[-1]
    waits, in_blocks = (
        eats(algorithm).waits(num_envs),
        not stacked and eats(algorithm).length == 1 and not eats(algorithm).whole,
    )
    carry = jnp.int32(0), run, _nothing(jax.eval_shape(functools.partial(one_round, algorithm, env), run)[1])
    for learns in (False, True) if waits else (True,):  # two loops: no choice inside the one that learns

        def go_on(carry: tuple[Array, Run, dict[str, Array]], learns: bool = learns) -> Array:
            index, run, total = carry
            more = (index < rounds) & run.sound.any() & (total["steps"] < most_steps).any()
            return more if learns else more & (run.round < waits).any()

        def body(carry: tuple[Array, Run, dict[str, Array]], learns: bool = learns) -> Any:
            (index, run, total), count = carry, jnp.int32(1)
            if in_blocks:
                left = jnp.minimum(-(-(most_steps - total["steps"]) // num_envs), rounds - index)
                left = left if learns else jnp.minimum(left, waits - run.round)
                count = jnp.minimum(BLOCK - run.round % BLOCK, left).astype(jnp.int32)
                run, gained = ticks(algorithm, env, run, count, learns)
            else:
                run, gained = one_round(algorithm, env, run, learns)
            gained = {name: jnp.where(run.sound, total[name] + x, total[name]) for name, x in gained.items()}
            return index + count, run, total | gained

        carry = jax.lax.while_loop(go_on, body, carry)
    return carry[1:]


def one_round(algorithm: Algorithm, env: Env, run: Run, learns: bool = True) -> tuple[Run, dict[str, Array]]:
    """`tick` for a run, or for many that are stacked along a leading axis."""
    one = functools.partial(tick, learns=learns)
    if run.round.ndim == 0:
        return one(algorithm, env, run)
    swept = jax.tree.map(lambda x: 0 if jnp.ndim(x) else None, algorithm)
    return jax.vmap(one, (swept, None, 0))(algorithm, env, run)


def tick(algorithm: Algorithm, env: Env, run: Run, learns: bool = True) -> tuple[Run, dict[str, Array]]:
    """One round: collect, remember, learn. A round that is not sound leaves the run as it was, but for its buffer."""
    place, fresh, tally = collect(algorithm, env, run)
    tally |= {"rounds": jnp.int32(1), "learning_rounds": jnp.int32(learns)}
    buffer = eats(algorithm).add(run.buffer, fresh)
    if not learns:
        state = algorithm.observe(run.state, fresh)
        return Run(state, buffer, place, run.key, run.round + 1, run.sound), tally
    learn_key = round_keys(run.key, run.round, eats(algorithm).length).learn
    state, buffer, metrics, sound = learn_or_keep(algorithm, run.state, buffer, fresh, learn_key)
    place = jax.tree.map(lambda new, old: jnp.where(sound, new, old), place, run.place)
    return Run(state, buffer, place, run.key, run.round + sound, sound), metrics | tally


def ticks(algorithm: Algorithm, env: Env, run: Run, count: Array, learns: bool = True) -> tuple[Run, dict[str, Array]]:
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
        gained = tally | {"rounds": jnp.int32(1), "learning_rounds": jnp.int32(learns)}
        if learns:
            learn_key = round_keys(run.key, run.round + index, 1).learn
            state, buffer, metrics = learn(algorithm, state, buffer, fresh, learn_key)
            gained |= means(metrics)
        else:
            state = algorithm.observe(state, fresh)
        return state, buffer, place, gained if total is None else jax.tree.map(jnp.add, total, gained)

    start = run.state, run.buffer, run.place
    shapes = jax.eval_shape(one, jnp.int32(0), (*start, None))[3]
    state, buffer, place, total = jax.lax.fori_loop(0, count, one, (*start, _nothing(shapes)))
    sound = all_finite(total)
    state, place = jax.tree.map(lambda new, old: jnp.where(sound, new, old), (state, place), (run.state, run.place))
    return Run(state, buffer, place, run.key, run.round + jnp.where(sound, count, 0), sound), total


def _nothing(shapes: Any) -> dict[str, Array]:
    """Metrics that are all 0."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


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


def collect(algorithm: Algorithm, env: Env, run: Run) -> tuple[Place, Transition, dict[str, Array]]:
    """One round of steps everywhere -> place, transitions [time, env], and a tally of the episodes that ended."""
    experience, state, place = eats(algorithm), run.state, run.place
    whole, length, num_envs = experience.whole, experience.length, len(place.score)
    round = round_keys(run.key, run.round, length)
    if whole:
        played = jnp.broadcast_to(run.round > 0, num_envs)  # before the first round nobody did
        place = reset(algorithm, env, state, round.reset, num_envs, place, played)

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
