"""The calls of the hosted driver where what is stored does not fit the device: it stays in the host's memory.

Storing and sampling are then calls on the host, and each batch is carried to the device by itself: two calls and a copy
for every update instead of one for a round. What is computed is the same as in `fused`, in the same order, with the
same random numbers.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Outcome, Spec, Transition
from bellmax.drivers import fused, traced
from bellmax.drivers.fused import Calls, Run
from bellmax.drivers.learn import all_finite, eats, hear_all, means, priority_in, round_keys

Device = Any  # a jax.Device


def start(algorithm: Algorithm, spec: Spec, key: Array | None, host: Device) -> Run:
    """A run that has seen nothing, all of it in the host's memory."""
    floats, algorithm_tree = jax.tree.flatten(algorithm)
    spec_leaves, spec_tree = jax.tree.flatten(spec)
    with jax.default_device(host):
        floats, key = jax.device_put((floats, key), host)
        return fused.compiled_start(algorithm_tree, tuple(spec_leaves), spec_tree)(floats, key)


def parted(run: Run, host: Device, device: Device) -> Run:
    """The same run, its buffer with the host and everything else on the device."""
    return jax.device_put(run._replace(buffer=None), device)._replace(buffer=jax.device_put(run.buffer, host))


@functools.lru_cache(maxsize=32)
def compiled(
    algorithm_tree: Any,
    run_tree: Any,
    shapes: tuple[Any, ...],
    spec_leaves: tuple[Any, ...],
    spec_tree: Any,
    host: Device,
    device: Device,
) -> Calls:
    """`fused.compiled` for runs that are `parted`."""
    count, num_envs = algorithm_tree.num_leaves, jax.tree.unflatten(spec_tree, spec_leaves).num_envs

    def whole(leaves: list[Any]) -> tuple[Algorithm, Run]:
        """What the device has of them."""
        return algorithm_tree.unflatten(leaves[:count]), _without_buffer(run_tree.unflatten(leaves[count:]))

    def begin(leaves: list[Array], obs: Any) -> Any:
        return _begin(*whole(leaves), obs, num_envs)

    def ahead(leaves: list[Array], *rest: Any) -> Any:
        return _ahead(*whole(leaves), *rest)

    def end(learns: bool, floats: list[Array], leaves: list[Array], window: Transition, *rest: Any) -> Any:
        memory, now = _hear(*whole([*floats, *leaves]), *rest[:2]) if jax.tree.leaves(rest[0]) else rest[0], rest[2:]
        leaves, metrics, sound = study(learns, floats, leaves, window)
        return leaves, *_act(*whole([*floats, *leaves]), memory, *now), metrics, sound

    def study(learns: bool, floats: list[Array], leaves: list[Array], window: Transition) -> Any:
        algorithm, buffer = algorithm_tree.unflatten(floats), run_tree.unflatten(leaves).buffer
        told = jax.device_put(algorithm, host)  # a few numbers
        window = jax.device_put(window, host)
        buffer = _add(told, buffer, window)
        run, keys = _observe(algorithm, whole([*floats, *leaves])[1], jax.device_put(window, device))
        if not learns:
            return jax.tree.leaves(run._replace(round=run.round + 1, buffer=buffer)), _NOTHING_LEARNED, run.sound
        state, found = run.state, []
        for sample_key, update_key in zip(jax.device_put(keys.sample, host), keys.update):
            batch = _sample(told, buffer, window, sample_key)
            state, metrics, priority = _update(algorithm, state, jax.device_put(batch, device), update_key)
            if eats(algorithm).weighs:
                buffer = _reweigh(told, buffer, batch, jax.device_put(priority, host))
            found.append(metrics)
        run, metrics = _judge(whole([*floats, *leaves])[1], state, found)
        return jax.tree.leaves(run._replace(buffer=buffer)), metrics, run.sound

    calls = fused.compiled(algorithm_tree, run_tree, shapes, spec_leaves, spec_tree)
    store, learn = (functools.partial(end, x) for x in (False, True))
    remember, think = (functools.partial(study, x) for x in (False, True))
    return calls._replace(begin=begin, ahead=ahead, store=store, learn=learn, study=(remember, think))


def _without_buffer(run: Run) -> Run:
    return run._replace(buffer=None)


class Keys(NamedTuple):
    """The keys of a round's updates, [updates] each."""

    sample: Array
    update: Array


@functools.partial(jax.jit, static_argnums=3)
def _begin(algorithm: Algorithm, run: Run, obs: Any, num_envs: int) -> Any:
    draws, memory, choice = fused.begin_round(algorithm, run, obs, num_envs)
    return draws, memory, fused.pack(choice)


@jax.jit
def _ahead(algorithm: Algorithm, run: Run, memory: Any, outcome: Outcome, *now: Any) -> Any:
    draws, memory, choice = fused.act_ahead(algorithm, run, memory, outcome, *now)
    return draws, memory, fused.pack(choice)


@jax.jit
def _hear(algorithm: Algorithm, run: Run, memory: Any, outcome: Outcome) -> Any:
    return hear_all(algorithm, run.state, memory, outcome)


@jax.jit
def _act(algorithm: Algorithm, run: Run, memory: Any, obs: Any, last: Array) -> Any:
    draws = fused.draw(algorithm, run, len(last))
    choice, memory = fused.act(algorithm, run.state, draws, memory, obs, last, jnp.int32(0))
    return draws, memory, fused.pack(choice)


@jax.jit
def _observe(algorithm: Algorithm, run: Run, window: Transition) -> tuple[Run, Keys]:
    learn_key = round_keys(run.key, run.round, eats(algorithm).length).learn
    keys = jax.vmap(jax.random.split)(jax.random.split(learn_key, eats(algorithm).updates))
    run = run._replace(state=algorithm.observe(run.state, window), sound=jnp.bool_(True))
    return run, Keys(keys[:, 0], keys[:, 1])


@functools.partial(jax.jit, donate_argnums=1)
def _add(algorithm: Algorithm, buffer: Any, window: Transition) -> Any:
    return eats(algorithm).add(buffer, window)


@jax.jit
def _sample(algorithm: Algorithm, buffer: Any, window: Transition, key: Array) -> Transition:
    return eats(algorithm).sample(buffer, window, key)


@jax.jit
def _update(algorithm: Algorithm, state: Any, batch: Transition, key: Array) -> tuple[Any, dict[str, Array], Any]:
    state, metrics = traced.update(algorithm, state, batch, key)
    priority = priority_in(algorithm, metrics) if eats(algorithm).weighs else None
    return state, {name: x for name, x in metrics.items() if name != "priority"}, priority


@functools.partial(jax.jit, donate_argnums=1)
def _reweigh(algorithm: Algorithm, buffer: Any, batch: Transition, priority: Array) -> Any:
    return eats(algorithm).reweigh(buffer, batch, priority)


@jax.jit
def _judge(run: Run, state: Any, found: list[dict[str, Array]]) -> tuple[Run, dict[str, Array]]:
    """The run with the new state, or, if a metric is NaN or infinite, with its own; and the mean metrics."""
    mean = means(jax.tree.map(lambda *xs: jnp.stack(xs), *found))
    sound = all_finite(mean)
    kept = jax.tree.map(lambda new, old: jnp.where(sound, new, old), state, run.state)
    run = run._replace(state=kept, round=run.round + sound, sound=sound)
    return run, mean | {"learning_rounds": jnp.int32(1)}


_NOTHING_LEARNED = {"learning_rounds": np.int32(0)}
