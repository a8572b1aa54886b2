"""The device's half of the hosted driver: store, learn when the round is full, and act, in one call.

Everything that stays on the device is a `Carry`. Calls pass it as a flat list of arrays, because flattening a network
of modules in Python at every environment step would cost more than the step. The list is donated, so the window is
written in place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.drivers.learn import begin_all, eats, example_transition, learn_or_keep, round_keys, step_keys, where
from bellmax.spaces import confine


class Run(NamedTuple):
    """Everything a training run knows but where its simulators stand."""

    state: Any  # what the algorithm has learned
    buffer: Any  # what its experience has stored
    key: Array
    round: Array  # rounds that were completed
    sound: Array  # False once a metric was NaN or infinite: the run stands still from there


class Carry(NamedTuple):
    """What stays on the device from one step to the next."""

    run: Run
    window: Transition  # the round so far, [time, env]
    obs: Any  # what the pending actions were chosen on, [env, ...]
    pending: Decision  # [env, ...]


class Answer(NamedTuple):
    """What one step of every environment brought; each leaf [env, ...]."""

    next_obs: Any
    obs: Any  # what to act on now: next_obs, or the first observation of a new episode
    flags: Array  # [4, env]: reward, discount, last, weight


def start(algorithm: Algorithm, spec: Spec, key: Array) -> Run:
    """A run that has seen nothing."""
    init_key, _, run_key = jax.random.split(key, 3)
    state = algorithm.init(init_key, spec)
    buffer = eats(algorithm).empty(example_transition(algorithm, state, spec), spec.num_envs)
    return Run(state, buffer, run_key, jnp.int32(0), jnp.bool_(True))


def begin(algorithm: Algorithm, spec: Spec, run: Run, obs: Any) -> Carry:
    """An empty window, and the first actions of fresh episodes that show `obs`."""
    example = example_transition(algorithm, run.state, spec)
    rows = eats(algorithm).length, spec.num_envs
    window = jax.tree.map(lambda x: jnp.zeros((*rows, *x.shape), x.dtype), example)
    return act(algorithm, Carry(run, window, obs, Decision(None)), obs, jnp.int32(0))


def act(algorithm: Algorithm, carry: Carry, obs: Any, t: Array, last: Array | None = None) -> Carry:
    """Choose the actions of step `t`; memories begin anew where an episode ended (everywhere, if `last` is None)."""
    step_key, begin_key, _ = round_keys(carry.run.key, carry.run.round)
    memory = begin_all(algorithm, carry.run.state, obs, jax.random.fold_in(begin_key, t))
    if last is not None:
        memory = where(last, memory, carry.pending.memory)
    keys = step_keys(step_key, t, jax.tree.leaves(obs)[0].shape[0])
    pending = jax.vmap(algorithm.act, (None, 0, 0, 0))(carry.run.state, obs, keys[0], memory)
    return carry._replace(obs=obs, pending=pending)


def store(carry: Carry, answer: Answer, t: Array) -> Transition:
    """The window with step `t` in it."""
    reward, discount, last, weight = answer.flags
    decision = carry.pending
    row = Transition(
        carry.obs, decision.action, reward, discount, last > 0, answer.next_obs, decision.extras, weight
    )
    return jax.tree.map(lambda rows, new: rows.at[t].set(new.astype(rows.dtype)), carry.window, row)


def learn(algorithm: Algorithm, carry: Carry, t: Array) -> tuple[Carry, dict[str, Array]]:
    """Learn from the window, which is full up to step `t`."""
    run, window = carry.run, carry.window
    filled = jnp.arange(window.weight.shape[0])[:, None] <= t
    window = window._replace(weight=window.weight * filled)
    buffer = eats(algorithm).add(run.buffer, window)
    learn_key = round_keys(run.key, run.round)[2]
    state, metrics, sound = learn_or_keep(algorithm, run.state, buffer, window, learn_key)
    run = Run(state, buffer, run.key, run.round + sound, sound)
    return carry._replace(run=run, window=window), metrics


Step = Callable[..., tuple[list[Array], Any, dict[str, Array], Array]]


@functools.lru_cache(maxsize=32)
def compiled(algorithm_tree: Any, carry_tree: Any, action_space: Any) -> tuple[Step, Step]:
    """The two fused calls, (store and act, store and learn and act), for one structure of algorithm and carry."""

    def step(floats: list[Array], leaves: list[Array], answer: Answer, t: Array, full: bool) -> Any:
        algorithm, carry = algorithm_tree.unflatten(floats), carry_tree.unflatten(leaves)
        carry = carry._replace(window=store(carry, answer, t))
        metrics: dict[str, Array] = {}
        if full:
            carry, metrics = learn(algorithm, carry, t)
        carry = act(algorithm, carry, answer.obs, jnp.where(full, 0, t + 1), answer.flags[2] > 0)
        action = confine(action_space, carry.pending.action)
        return jax.tree.leaves(carry), action, metrics, carry.run.sound

    return tuple(  # type: ignore[return-value]
        jax.jit(functools.partial(step, full=full), donate_argnums=1) for full in (False, True)
    )
