"""The nouns of bellmax. Everything else is a function or an algorithm over these.

Axes: collected experience is [time, env, ...], replayed experience [batch, ...]; environments and
`act` are written for one environment and have neither.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
from typing import Any, NamedTuple, TypeVar, dataclass_transform, get_type_hints

import equinox as eqx
import jax
from jax import Array

from bellmax.ranges import check, is_traced
from bellmax.spaces import Tree


class Spec(NamedTuple):
    """What the environments show, what they accept, and how many there are."""

    obs: Tree
    action: Tree
    num_envs: int = 1


class Transition(NamedTuple):
    """One step of experience.

    `discount` and `last` replace the usual `done`: "there is no future" and "the data end here" are
    two different things, and a time limit is only the second.
    """

    obs: Any
    action: Any
    reward: Array
    discount: Array  # 1 while the episode goes on, 0 where it terminated (-1 when the opponent moves next)
    last: Array  # True on an episode's final step, terminated or cut short
    next_obs: Any  # the true successor, never the first observation of the next episode
    extras: Any  # what `act` wants `update` to know
    weight: Array  # 0 for padding; the importance weight under prioritised replay; else 1


class Outcome(NamedTuple):
    """What `Env.step` returns beside the new state; the fields are those of `Transition`."""

    obs: Any
    reward: Array
    discount: Array
    last: Array


class Decision(NamedTuple):
    """What `Algorithm.act` returns."""

    action: Any
    extras: Any = {}
    memory: Any = None


Self = TypeVar("Self", bound="Frozen")


@dataclass_transform(frozen_default=True)
class Frozen:
    """A frozen dataclass that JAX sees through.

    Fields annotated `float` (or with another `Frozen`, or a network) are traced: they can be vmapped, swept and
    differentiated without compiling again. Every other field is structure, fixed at compile time.
    Values are checked against the ranges in the annotations (see `bellmax.ranges`) on construction.
    """

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True)(cls)
        cls.__init__ = _explaining(cls.__init__)  # type: ignore[method-assign]
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        hints = get_type_hints(cls, include_extras=True)
        cls._hints = {name: hints[name] for name in names}  # type: ignore[attr-defined]
        cls._traced = [name for name in names if is_traced(hints[name], (Frozen, eqx.Module))]  # type: ignore[attr-defined]
        _register(cls, cls._traced, [name for name in names if name not in cls._traced])  # type: ignore[attr-defined]

    def __post_init__(self) -> None:
        for name, hint in self._hints.items():  # type: ignore[attr-defined]
            value = getattr(self, name)
            check(type(self).__name__, name, value, hint)
            if name in self._traced and isinstance(value, int) and not isinstance(value, bool):  # type: ignore[attr-defined]
                object.__setattr__(self, name, float(value))  # 1 and 1.0 are the same program

    def replace(self: Self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]


def _register(cls: type, traced: list[str], static: list[str]) -> None:
    """Make JAX see through the class. A copy that JAX makes is not checked: it may hold anything at all."""

    def flatten(it: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(it, name) for name in traced], tuple(getattr(it, name) for name in static)

    def flatten_with_keys(it: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return [(jax.tree_util.GetAttrKey(name), getattr(it, name)) for name in traced], flatten(it)[1]

    def unflatten(structure: tuple[Any, ...], leaves: Any) -> Any:
        it: Any = object.__new__(cls)
        for name, value in [*zip(traced, leaves), *zip(static, structure)]:
            object.__setattr__(it, name, value)
        return it

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


def _explaining(init: Any) -> Any:
    """`__init__` that, for a mistyped field, suggests the one that was meant."""

    @functools.wraps(init)
    def explained(self: Any, *args: Any, **kwargs: Any) -> None:
        known = type(self)._hints if hasattr(type(self), "_hints") else {}
        for name in kwargs:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}."
                raise TypeError(f"{type(self).__name__} has no field {name!r}: {hint}")
        init(self, *args, **kwargs)

    return explained


class Env(Frozen):
    """A JAX environment: pure functions, written for one, vmapped for many.

    Drivers start the next episode themselves: `step` never resets. A subclass has a `spec`.
    """

    @property
    def spec(self) -> Spec:
        raise NotImplementedError

    def reset(self, key: Array) -> tuple[Any, Any]:
        """Begin an episode -> env_state, obs."""
        raise NotImplementedError

    def step(self, env_state: Any, action: Any, key: Array) -> tuple[Any, Outcome]:
        """One step -> env_state, Outcome."""
        raise NotImplementedError

    def restart(self, before: Any, last: Array, keys: Array) -> tuple[Any, Any]:
        """Begin episodes in many environments at once, [env, ...] -> env_state, obs.

        `before` is where they stand, `last` [env] whose episodes have ended. For what outlives an episode; for
        everything else this is `reset`.
        """
        return jax.vmap(self.reset)(keys)


class Algorithm(Frozen):
    """Hyperparameters, and pure functions of a state that only the algorithm looks into.

    The state is a tree of arrays. Subclasses are final, and have a field `experience`.
    """

    def init(self, key: Array, spec: Spec) -> Any:
        """The state of an algorithm that has seen nothing."""
        raise NotImplementedError

    def act(self, state: Any, obs: Any, key: Array, memory: Any = None) -> Decision:
        """Choose an action in one environment, exploring."""
        raise NotImplementedError

    def update(self, state: Any, batch: Transition, key: Array) -> tuple[Any, dict[str, Array]]:
        """Learn from a batch -> state, metrics. A metric may have axes: the order of the gradient steps."""
        raise NotImplementedError

    def greedy(self, state: Any, obs: Any, key: Array, memory: Any = None) -> Decision:
        """Choose an action without exploring."""
        return self.act(state, obs, key, memory)

    def begin(self, state: Any, obs: Any, key: Array) -> Any:
        """The memory to start an episode with."""
        return None

    def hear(self, state: Any, memory: Any, outcome: Outcome) -> Any:
        """What came of the last action, of the same episode -> the memory to act with next, of the same shapes.

        `act` never sees a reward; whoever needs one to act, as for the return that is still to come, keeps it here.
        """
        return memory

    def observe(self, state: Any, fresh: Transition) -> Any:
        """Look at steps [time, env] once, in order, as they are collected, before anything is learned -> state.

        For what counts steps: with replay, `update` sees some of them many times and in no order.
        """
        return state
