"""Drive an algorithm through logged steps: no environment takes a step, and all of it is in the graph.

    run, metrics = offline.train(IQL(), log, spec, jax.random.key(0), updates=10_000)

is pure. A round is `experience.updates` updates; a run's steps are its updates, which are the clock of schedules. What
was logged is no part of the run: it is handed to every call, stays where it is, and is never written to.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Spec, Transition
from bellmax.drivers.learn import eats, learn_or_keep, round_keys
from bellmax.experience import Log


class Run(NamedTuple):
    """Everything a training run knows, but for what it learns from."""

    state: Any  # what the algorithm has learned
    key: Array
    round: Array  # rounds that were completed
    sound: Array  # False once a metric was NaN or infinite: the run stands still from there


def train(algorithm: Algorithm, log: Log, spec: Spec, key: Array, *, updates: int) -> tuple[Run, dict[str, Array]]:
    """Learn for `updates` updates, in whole rounds -> run, metrics of every round [round]. Pure."""
    run, rounds = start(algorithm, log, spec, key), -(-updates // eats(algorithm).updates)
    return jax.lax.scan(lambda run, _: tick(algorithm, log, run), run, length=rounds)


def start(algorithm: Algorithm, log: Log, spec: Spec, key: Array) -> Run:
    """A run that has learned nothing. Its algorithm has observed all steps once, in order: [steps, 1]."""
    init_key, run_key = jax.random.split(key)
    state = algorithm.init(init_key, spec._replace(num_envs=1))
    state = algorithm.observe(state, jax.tree.map(lambda x: jnp.asarray(x)[:, None], log.steps))
    return Run(state, run_key, jnp.int32(0), jnp.bool_(True))


@functools.partial(jax.jit, donate_argnums=2)
def advance(algorithm: Algorithm, log: Log, run: Run, most_updates: Array) -> tuple[Run, dict[str, Array]]:
    """More rounds until `most_updates` updates are made -> run, metrics summed over the rounds.

    The sum has what other drivers count, too: "steps" are updates, and there are no episodes. It leaves out a round
    that is not sound. `run` may be many runs, stacked along a leading axis.
    """
    shapes = jax.eval_shape(functools.partial(one_round, algorithm, log), run)[1]
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def go_on(carry: tuple[Run, dict[str, Array]]) -> Array:
        run, total = carry
        return run.sound.any() & (total["steps"] < most_updates).any()

    def body(carry: tuple[Run, dict[str, Array]]) -> tuple[Run, dict[str, Array]]:
        run, total = carry
        run, gained = one_round(algorithm, log, run)
        return run, {name: jnp.where(run.sound, total[name] + x, total[name]) for name, x in gained.items()}

    return jax.lax.while_loop(go_on, body, (run, nothing))


def one_round(algorithm: Algorithm, log: Log, run: Run) -> tuple[Run, dict[str, Array]]:
    """`tick`, and its tally, for a run, or for many that are stacked along a leading axis."""

    def one(run: Run) -> tuple[Run, dict[str, Array]]:
        run, metrics = tick(algorithm, log, run)
        none = dict.fromkeys(("episodes", "score", "length"), jnp.int32(0))
        ones = dict.fromkeys(("rounds", "learning_rounds"), jnp.int32(1))
        return run, metrics | none | ones | {"steps": jnp.int32(eats(algorithm).updates)}

    return one(run) if run.round.ndim == 0 else jax.vmap(one)(run)


def tick(algorithm: Algorithm, log: Log, run: Run) -> tuple[Run, dict[str, Array]]:
    """One round of updates. One that is not sound leaves the run as it was."""
    state, _, metrics, sound = learn_or_keep(algorithm, run.state, *served(algorithm, log, run))
    return Run(state, run.key, run.round + sound, sound), metrics


def served(algorithm: Algorithm, log: Log, run: Run) -> tuple[Log, Transition, Array]:
    """What the next round learns from: the log with the clock at its time, no fresh steps, and a key."""
    buffer = log._replace(learned=run.round * eats(algorithm).updates)
    fresh = jax.tree.map(lambda x: jnp.asarray(x)[:0, None], log.steps)
    return buffer, fresh, round_keys(run.key, run.round, 1).learn
