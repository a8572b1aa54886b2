"""The device's half of the hosted driver: one call a step of the environments.

Within a round the call only acts; the call that ends a round stores, learns and acts, fused. Trees are passed as flat
lists of arrays, because flattening a network of modules in Python at every step would cost more than the step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Spec, Transition
from bellmax.drivers.learn import begin_all, eats, example_transition, learn_or_keep, round_keys, step_keys, where


class Run(NamedTuple):
    """Everything a training run knows but where its simulators stand."""

    state: Any  # what the algorithm has learned
    buffer: Any  # what its experience has stored
    key: Array
    round: Array  # rounds that were completed
    sound: Array  # False once a metric was NaN or infinite: the run stands still from there


class Choice(NamedTuple):
    """What one step brings back to the host; each leaf is [env, ...]."""

    action: Any  # as drawn: the environments get them cut to their bounds
    extras: Any


class Draws(NamedTuple):
    """The random numbers of one round, drawn in one block, as raw key data."""

    act: Array  # [time, env, ...]
    begin: Array


def start(algorithm: Algorithm, spec: Spec, key: Array) -> Run:
    """A run that has seen nothing."""
    init_key, _, run_key = jax.random.split(key, 3)
    state = algorithm.init(init_key, spec)
    buffer = eats(algorithm).empty(example_transition(algorithm, state, spec), spec.num_envs)
    return Run(state, buffer, run_key, jnp.int32(0), jnp.bool_(True))


def draw(algorithm: Algorithm, run: Run, num_envs: int) -> Draws:
    """The keys of the round that begins, the same as the in-graph driver's."""
    step_key, begin_key, _ = round_keys(run.key, run.round)
    keys = jax.vmap(step_keys, (None, 0, None))(step_key, jnp.arange(eats(algorithm).length), num_envs)[:, 0]
    return Draws(jax.random.key_data(keys), jax.random.key_data(begin_key))


def act(
    algorithm: Algorithm, state: Any, draws: Draws, memory: Any, obs: Any, last: Array, t: Array
) -> tuple[Choice, Any]:
    """Choose the actions of step `t` -> choice, memories. Memories begin anew where `last`: an episode ended."""
    begin_key = jax.random.fold_in(jax.random.wrap_key_data(draws.begin), t)
    memory = where(last, begin_all(algorithm, state, obs, begin_key), memory)
    keys = jax.random.wrap_key_data(draws.act[t])
    decision = jax.vmap(algorithm.act, (None, 0, 0, 0))(state, obs, keys, memory)
    return Choice(decision.action, decision.extras), decision.memory


def learn(algorithm: Algorithm, run: Run, window: Transition) -> tuple[Run, dict[str, Array]]:
    """Learn from one round of steps, [time, env] -> run, metrics."""
    buffer = eats(algorithm).add(run.buffer, window)
    learn_key = round_keys(run.key, run.round)[2]
    state, metrics, sound = learn_or_keep(algorithm, run.state, buffer, window, learn_key)
    return Run(state, buffer, run.key, run.round + sound, sound), metrics


class Calls(NamedTuple):
    """The compiled calls, for one structure of algorithm and run. All take and return flat lists."""

    begin: Callable[..., Any]  # floats, run, obs -> draws, memory, choice
    act: Callable[..., Any]  # floats, run, draws, memory, obs, last, t -> memory, choice
    learn: Callable[..., Any]  # floats, run, window, memory, obs, last -> run, draws, memory, choice, metrics, sound


@functools.lru_cache(maxsize=32)
def compiled_start(algorithm_tree: Any, spec_leaves: tuple[Any, ...], spec_tree: Any) -> Callable[..., Run]:
    """`start` for one structure of algorithm and spec: floats, key -> run."""
    spec = jax.tree.unflatten(spec_tree, spec_leaves)
    return jax.jit(lambda floats, key: start(algorithm_tree.unflatten(floats), spec, key))


@functools.lru_cache(maxsize=32)
def compiled(algorithm_tree: Any, run_tree: Any, num_envs: int) -> Calls:
    """The three calls, made once for everything that shares these structures."""

    def begin(floats: list[Array], leaves: list[Array], obs: Any) -> Any:
        algorithm, run = algorithm_tree.unflatten(floats), run_tree.unflatten(leaves)
        draws = draw(algorithm, run, num_envs)
        memory = begin_all(algorithm, run.state, obs, jax.random.wrap_key_data(draws.begin))
        choice, memory = act(algorithm, run.state, draws, memory, obs, jnp.zeros(num_envs, bool), jnp.int32(0))
        return draws, memory, choice

    def within(
        floats: list[Array], leaves: list[Array], draws: Draws, memory: Any, obs: Any, last: Array, t: Array
    ) -> Any:
        algorithm, run = algorithm_tree.unflatten(floats), run_tree.unflatten(leaves)
        choice, memory = act(algorithm, run.state, draws, memory, obs, last, t)
        return memory, choice

    def end(floats: list[Array], leaves: list[Array], window: Transition, memory: Any, obs: Any, last: Array) -> Any:
        algorithm, run = algorithm_tree.unflatten(floats), run_tree.unflatten(leaves)
        run, metrics = learn(algorithm, run, window)
        draws = draw(algorithm, run, num_envs)
        choice, memory = act(algorithm, run.state, draws, memory, obs, last, jnp.int32(0))
        return jax.tree.leaves(run), draws, memory, choice, metrics, run.sound

    return Calls(jax.jit(begin), jax.jit(within, donate_argnums=3), jax.jit(end, donate_argnums=(1, 3)))
