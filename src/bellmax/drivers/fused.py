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
import numpy as np
from jax import Array
from jax.extend.core import Literal

from bellmax.core import Algorithm, Outcome, Spec, Transition
from bellmax.drivers import traced
from bellmax.drivers.learn import (
    begin_all,
    eats,
    example_transition,
    hear_all,
    learn_or_keep,
    round_keys,
    step_keys,
    where,
)
from bellmax.spaces import zeros


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
    now = round_keys(run.key, run.round, eats(algorithm).length)
    steps = now.first + jnp.arange(eats(algorithm).length)
    keys = jax.vmap(step_keys, (None, 0, None))(now.step, steps, num_envs)[:, 0]
    return Draws(jax.random.key_data(keys), jax.random.key_data(jax.random.fold_in(now.reset, now.first)))


def act(
    algorithm: Algorithm, state: Any, draws: Draws, memory: Any, obs: Any, last: Array, t: Array
) -> tuple[Choice, Any]:
    """Choose the actions of step `t` -> choice, memories. Memories begin anew where `last`: an episode ended."""
    begin_key = jax.random.fold_in(jax.random.wrap_key_data(draws.begin), t)
    memory = where(last, begin_all(algorithm, state, obs, begin_key), memory)
    keys = jax.random.wrap_key_data(draws.act[t])
    decision = jax.vmap(traced.act, (None, None, 0, 0, 0))(algorithm, state, obs, keys, memory)
    return Choice(decision.action, decision.extras), decision.memory


def learn(algorithm: Algorithm, run: Run, window: Transition) -> tuple[Run, dict[str, Array]]:
    """Learn from one round of steps, [time, env] -> run, metrics."""
    buffer = eats(algorithm).add(run.buffer, window)
    learn_key = round_keys(run.key, run.round, eats(algorithm).length).learn
    state, buffer, metrics, sound = learn_or_keep(algorithm, run.state, buffer, window, learn_key)
    return Run(state, buffer, run.key, run.round + sound, sound), metrics | {"learning_rounds": jnp.int32(1)}


def store(algorithm: Algorithm, run: Run, window: Transition) -> tuple[Run, dict[str, Array]]:
    """Remember one round of steps, [time, env], and learn nothing yet -> run, metrics."""
    buffer = eats(algorithm).add(run.buffer, window)
    state = algorithm.observe(run.state, window)
    run = run._replace(state=state, buffer=buffer, round=run.round + 1, sound=jnp.bool_(True))
    return run, {"learning_rounds": jnp.int32(0)}


class Calls(NamedTuple):
    """The compiled calls, for one structure and shape of algorithm and run. `leaves` are those of both.

    Choices come packed in one array of bytes.
    """

    begin: Callable[..., Any]  # leaves, obs -> draws, memory, choice
    act: Callable[..., Any]  # the leaves it reads, draws, memory, outcome, obs, last, t -> memory, choice
    store: Callable[..., Any]  # as learn, but that nothing is learned yet
    learn: Callable[..., Any]  # floats, run, window, memory, outcome, obs, last -> run, draws, memory, choice, ...
    ahead: Callable[..., Any]  # leaves, memory, outcome, obs, last -> draws, memory, choice; of the next round
    study: tuple[
        Callable[..., Any], Callable[..., Any]
    ]  # store or learn, alone: floats, run, window -> run, metrics, sound
    reads: tuple[int, ...]  # which leaves `act` reads: handing it all of them would take longer than the rest
    unpack: Callable[[Any], Choice]  # such an array -> NumPy arrays


@functools.lru_cache(maxsize=32)
def compiled_start(algorithm_tree: Any, spec_leaves: tuple[Any, ...], spec_tree: Any) -> Callable[..., Run]:
    """`start` for one structure of algorithm and spec: floats, key -> run."""
    spec = jax.tree.unflatten(spec_tree, spec_leaves)
    return jax.jit(lambda floats, key: start(algorithm_tree.unflatten(floats), spec, key))


@functools.lru_cache(maxsize=32)
def compiled(
    algorithm_tree: Any, run_tree: Any, shapes: tuple[Any, ...], spec_leaves: tuple[Any, ...], spec_tree: Any
) -> Calls:
    """The three calls, made once for everything that shares these structures; `shapes` are those of the leaves."""
    spec = jax.tree.unflatten(spec_tree, spec_leaves)
    count, num_envs = algorithm_tree.num_leaves, spec.num_envs

    def whole(leaves: list[Any]) -> tuple[Algorithm, Run]:
        return algorithm_tree.unflatten(leaves[:count]), run_tree.unflatten(leaves[count:])

    def begin(leaves: list[Array], obs: Any) -> Any:
        return begin_round(*whole(leaves), obs, num_envs)

    def act_knowing(leaves: list[Any], *rest: Any) -> Any:
        return act_on(*whole(leaves), *rest)

    def end(learns: bool, floats: list[Array], leaves: list[Array], *rest: Any) -> Any:
        return end_round(learns, *whole([*floats, *leaves]), *rest)

    def ahead(leaves: list[Array], *rest: Any) -> Any:
        return _packed(act_ahead(*whole(leaves), *rest))

    def study(learns: bool, floats: list[Array], leaves: list[Array], window: Transition) -> Any:
        return study_round(learns, *whole([*floats, *leaves]), window)

    outcome = jax.eval_shape(lambda: no_outcome(spec))
    draws, memory, choice = jax.eval_shape(begin, list(shapes), outcome.obs)
    now = draws, memory, outcome, outcome.obs, outcome.last, jax.ShapeDtypeStruct((), np.int32)
    reads = what_is_read(act_knowing, list(shapes), *now)

    def act_reading(some: list[Array], *now: Any) -> Any:
        leaves: list[Any] = list(shapes)  # the others are never computed with
        for index, x in zip(reads, some):
            leaves[index] = x
        return act_knowing(leaves, *now)

    begin_call = jax.jit(lambda leaves, obs: _packed(begin(leaves, obs)))
    act_call, ahead_call = jax.jit(act_reading, donate_argnums=2), jax.jit(ahead, donate_argnums=1)
    ends = [jax.jit(functools.partial(end, x), donate_argnums=(1, 3)) for x in (False, True)]
    remember, think = (jax.jit(functools.partial(study, x), donate_argnums=1) for x in (False, True))
    return Calls(begin_call, act_call, ends[0], ends[1], ahead_call, (remember, think), reads, unpacker(choice))


def no_outcome(spec: Spec) -> Outcome:
    """That nothing came of anything yet, [env, ...]."""
    one = Outcome(zeros(spec.obs), jnp.float32(0), jnp.float32(0), jnp.bool_(False))
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (spec.num_envs, *jnp.shape(x))), one)


def act_on(algorithm: Algorithm, run: Run, draws: Draws, memory: Any, outcome: Outcome, *now: Any) -> Any:
    """Hear what came of the last actions and choose the next; now: obs, last, t -> memories, packed choice."""
    memory = hear_all(algorithm, run.state, memory, outcome)
    choice, memory = act(algorithm, run.state, draws, memory, *now)
    return memory, pack(choice)


def begin_round(algorithm: Algorithm, run: Run, obs: Any, num_envs: int) -> tuple[Draws, Any, Choice]:
    """The first actions of a round that begins with new episodes -> draws, memories, choice."""
    draws = draw(algorithm, run, num_envs)
    memory = begin_all(algorithm, run.state, obs, jax.random.wrap_key_data(draws.begin))
    choice, memory = act(algorithm, run.state, draws, memory, obs, jnp.zeros(num_envs, bool), jnp.int32(0))
    return draws, memory, choice


def end_round(
    learns: bool, algorithm: Algorithm, run: Run, window: Transition, memory: Any, outcome: Outcome, obs: Any, last: Any
) -> Any:
    """Learn from a round, or only remember it, and choose the first actions of the next.

    The round's last outcome is heard with what was known when its action was chosen.
    """
    memory = hear_all(algorithm, run.state, memory, outcome)
    run, metrics = learn(algorithm, run, window) if learns else store(algorithm, run, window)
    draws = draw(algorithm, run, len(last))
    choice, memory = act(algorithm, run.state, draws, memory, obs, last, jnp.int32(0))
    return jax.tree.leaves(run), draws, memory, pack(choice), metrics, run.sound


def study_round(learns: bool, algorithm: Algorithm, run: Run, window: Transition) -> Any:
    """Learn from a round, or only remember it."""
    run, metrics = learn(algorithm, run, window) if learns else store(algorithm, run, window)
    return jax.tree.leaves(run), metrics, run.sound


def act_ahead(
    algorithm: Algorithm, run: Run, memory: Any, outcome: Outcome, obs: Any, last: Array
) -> tuple[Draws, Any, Choice]:
    """The first actions of the next round, before this one was learned from -> draws, memories, choice."""
    memory = hear_all(algorithm, run.state, memory, outcome)
    draws = draw(algorithm, run._replace(round=run.round + 1), len(last))
    choice, memory = act(algorithm, run.state, draws, memory, obs, last, jnp.int32(0))
    return draws, memory, choice


def _packed(begun: tuple[Draws, Any, Choice]) -> tuple[Draws, Any, Array]:
    return begun[0], begun[1], pack(begun[2])


def what_is_read(function: Callable[..., Any], leaves: list[Any], *rest: Any) -> tuple[int, ...]:
    """The indices of the `leaves` that `function(leaves, *rest)` computes with or returns."""
    jaxpr = jax.make_jaxpr(function)(leaves, *rest).jaxpr
    used = {x for equation in jaxpr.eqns for x in equation.invars if not isinstance(x, Literal)}
    used.update(x for x in jaxpr.outvars if not isinstance(x, Literal))
    return tuple(index for index, x in enumerate(jaxpr.invars[: len(leaves)]) if x in used)


def pack(tree: Any) -> Array:
    """The bytes of all leaves in one array: reading back one costs half of reading back two."""
    flat = [x.astype(jnp.uint8) if x.dtype == bool else x for x in jax.tree.leaves(tree)]
    return jnp.concatenate([jax.lax.bitcast_convert_type(x, jnp.uint8).ravel() for x in flat])


def unpacker(shapes: Any) -> Callable[[Any], Any]:
    """The inverse of `pack`, on the host, for a tree of these shapes."""
    leaves, tree = jax.tree.leaves(shapes), jax.tree.structure(shapes)
    ends = np.cumsum([x.size * x.dtype.itemsize for x in leaves]).tolist()
    pieces = [(slice(end - x.size * x.dtype.itemsize, end), x.dtype, x.shape) for x, end in zip(leaves, ends)]

    def unpack(packed: Any) -> Any:
        raw = np.asarray(packed)
        return jax.tree.unflatten(tree, [raw[where].view(dtype).reshape(shape) for where, dtype, shape in pieces])

    return unpack
