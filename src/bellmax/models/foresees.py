"""What an algorithm that has learned a model of the world can be asked: what would come of these actions?"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import jax
from jax import Array

from bellmax.core import Env, Outcome


@runtime_checkable
class Foresees(Protocol):
    """An algorithm with a model of the world that can be held against it; written for one, as `act` is."""

    def foresee(self, state: Any, obs: Any, memory: Any, actions: Any, key: Array) -> Outcome:
        """What would come of `actions` [time, ...] with nobody looking again -> Outcome [time, ...].

        `obs` and `memory` are what `act` is given where the first of them is taken. `discount` is whether the episode
        goes on, or how probable that is; what is foreseen behind an end goes on all the same. `obs` is None where the
        model does not say what will be seen.
        """
        ...


def unrolled(world: Env, env_state: Any, actions: Any, key: Array) -> Outcome:
    """What comes of `actions` [time, ...] in `world` from `env_state` on -> Outcome [time, ...]; ends end nothing."""
    keys = jax.random.split(key, jax.tree.leaves(actions)[0].shape[0])
    return jax.lax.scan(lambda now, x: world.step(now, *x), env_state, (actions, keys))[1]
