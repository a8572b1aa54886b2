"""A greedy policy as one function of named arrays: what every format is made from.

Names say where an array belongs, and are the same in every format:

    obs, obs.position, obs.0        the observation, or its parts
    legal                           the mask of legal actions, [batch, n] boolean
    memory, memory.0 -> next_memory, next_memory.0      what a recurrent policy remembers, before and after
    action, action.0                the action, cut to its bounds
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Outcome, Spec
from bellmax.export.failed import ExportFailed
from bellmax.spaces import Masked, Simulated, confine, sample, zeros

Named = dict[str, Any]  # arrays by name
Answer = Callable[[Any, Array, Named], Named]  # state, key, inputs [batch, ...] -> outputs [batch, ...]


class Flat(NamedTuple):
    """A policy whose inputs and outputs have names; their shapes are those of one environment, without a batch."""

    inputs: dict[str, jax.ShapeDtypeStruct]  # the observation's parts, then the memory's
    outputs: dict[str, jax.ShapeDtypeStruct]  # the action's parts, then the next memory's
    begin: dict[str, np.ndarray]  # the memory's parts at the start of an episode
    state: Any
    answer: Answer
    owner: str  # what to call the algorithm

    def __call__(self, inputs: Named) -> Named:
        """Inputs [batch, ...] -> outputs [batch, ...]."""
        return self.answer(self.state, jax.random.key(0), inputs)


def flatten(algorithm: Algorithm, state: Any, spec: Spec) -> Flat:
    """The greedy policy of `algorithm`, whatever it wants to know baked in: weights, normaliser, bounds and a key.

    Raises ExportFailed if the policy's memory is not a fixed tree of numbers that begins the same in every episode, if
    it acts on rewards, and if it plans with the rules.
    """
    owner = _title(algorithm)
    if isinstance(spec.obs, Simulated):
        raise ExportFailed(
            f"{owner} searches in the rules of its environment before every move, and a file has no rules: play it "
            "with bellmax.load, bellmax play or bellmax watch, or train MuZero, which searches in a model of its own."
        )
    memory = _begin(algorithm, state, spec, owner)
    if _hears(algorithm, state, memory, spec):
        raise ExportFailed(f"{owner} acts on the rewards it hears of, and an exported policy is given none.")
    obs = jax.eval_shape(lambda: zeros(spec.obs))
    obs_names, memory_names = names(obs, "obs"), names(memory, "memory")
    tree: Any = jax.tree.structure((obs, memory))

    def one(state: Any, key: Array, *leaves: Array) -> list[Array]:
        obs, memory = tree.unflatten(leaves)
        decision = algorithm.greedy(state, obs, key, memory)
        if names(decision.memory, "memory") != memory_names:
            raise ExportFailed(f"{owner}.greedy returns another kind of memory than {owner}.begin makes.")
        return jax.tree.leaves((confine(spec.action, decision.action), decision.memory))

    outputs = [*names(spec.action, "action"), *(f"next_{name}" for name in memory_names)]

    def answer(state: Any, key: Array, inputs: Named) -> Named:
        leaves = [inputs[name] for name in (*obs_names, *memory_names)]
        return dict(zip(outputs, jax.vmap(one, (None, None, *[0] * len(leaves)))(state, key, *leaves)))

    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in jax.tree.leaves((obs, memory))]
    begin = [np.asarray(x) for x in jax.tree.leaves(memory)]
    return Flat(
        dict(zip([*obs_names, *memory_names], shapes)),
        dict(zip(outputs, jax.eval_shape(one, state, jax.random.key(0), *shapes))),
        dict(zip(memory_names, begin)),
        state,
        answer,
        owner,
    )


def _begin(algorithm: Algorithm, state: Any, spec: Spec, owner: str) -> Any:
    """The memory every episode begins with, checked not to depend on the first observation."""
    key = jax.random.key(0)
    first = algorithm.begin(state, zeros(spec.obs), key)
    if not jax.tree.leaves(first):
        return first
    others = [algorithm.begin(state, sample(spec.obs, key), key) for key in jax.random.split(key, 2)]
    for leaf, *rest in zip(*map(jax.tree.leaves, (first, *others))):
        if jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key):
            raise ExportFailed(
                f"The memory of {owner} holds random keys, which no file format has: it cannot leave JAX."
            )
        if not all(np.array_equal(leaf, other, equal_nan=True) for other in rest):
            raise ExportFailed(
                f"The memory of {owner} begins with what it first observes, and a file can only hold a fixed beginning."
            )
    return jax.tree.map(jnp.asarray, first)


def _hears(algorithm: Algorithm, state: Any, memory: Any, spec: Spec) -> bool:
    """Does what came of an action change the memory?"""
    one = jnp.float32(1)
    outcome = Outcome(zeros(spec.obs), one, one, jnp.bool_(False))
    jaxpr = jax.make_jaxpr(lambda memory, outcome: algorithm.hear(state, memory, outcome))(memory, outcome).jaxpr
    return list(jaxpr.outvars) != list(jaxpr.invars[: len(jaxpr.outvars)])


def _title(algorithm: Algorithm) -> str:
    """What to call it: "PPO", "Normalised(PPO)"."""
    fields = [getattr(algorithm, field.name) for field in dataclasses.fields(algorithm)]  # type: ignore[arg-type]
    inner = ", ".join(_title(value) for value in fields if isinstance(value, Algorithm))
    return type(algorithm).__name__ + (f"({inner})" if inner else "")


def names(tree: Any, root: str) -> list[str]:
    """A name for each leaf of a tree, in the order of its leaves: "obs.position", "obs.0", "legal".

    Raises ExportFailed where two leaves would have the same.
    """
    found = list(_names(tree, root))
    for name in found:
        if found.count(name) > 1:
            raise ExportFailed(f"Two parts would both be called {name!r}: rename one of the keys it is made from.")
    return found


def _names(tree: Any, root: str) -> Iterable[str]:
    if isinstance(tree, Masked):
        inside = root.removeprefix("obs").removeprefix(".")
        yield from _names(tree.obs, root)
        yield f"{inside}.legal" if inside else "legal"
        return
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda x: isinstance(x, Masked))[0]:
        name = ".".join([root, *(_word(entry) for entry in path)])
        if isinstance(leaf, Masked):
            yield from _names(leaf, name)
        else:
            yield name


def _word(entry: Any) -> str:
    """The readable part of one step down a tree."""
    for field in ("key", "idx", "name"):
        if field in dir(entry):
            return str(getattr(entry, field))
    return str(entry)
