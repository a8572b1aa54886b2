"""What `Curious` asks of a bonus."""

from __future__ import annotations

from typing import Any

import jax
from jax import Array

from bellmax.core import Frozen, Spec, Transition


class Bonus(Frozen):
    """A measure of how new things are. Subclasses are final."""

    def init(self, key: Array, spec: Spec) -> Any:
        """The state of a bonus that has seen nothing: a tree of arrays."""
        raise NotImplementedError

    def of(self, state: Any, batch: Transition) -> Array:
        """How new each step is, of the shape of `batch.reward`, at least 0."""
        raise NotImplementedError

    def observe(self, state: Any, fresh: Transition) -> Any:
        """Look at steps [time, env] once, as they are collected -> state."""
        return state

    def untried(self, state: Any, obs: Any) -> Array:
        """Which actions were never taken where ONE observation is seen, bool [actions]."""
        raise ValueError(
            f"Curious.untried_first = True: {type(self).__name__} does not say what was never done; "
            "take HashedCounts(actions=True)."
        )

    def learn(self, state: Any, batch: Transition, key: Array) -> tuple[Any, dict[str, Array]]:
        """Learn from a batch that `of` has been asked about -> state, metrics."""
        return state, {}


def flat(tree: Any, weight: Array) -> Any:
    """The tree with the axes that `weight` has made one."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[weight.ndim :]), tree)
