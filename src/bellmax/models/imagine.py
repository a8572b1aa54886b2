"""Steps that happen in a model alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Decision, Env, Transition

Choose = Callable[[Any, Array], Decision]


def imagine(world: Env, choose: Choose, world_state: Any, obs: Any, key: Array, length: int) -> Transition:
    """`length` steps in `world` from many states at once -> steps [length, batch].

    `choose(obs, key)` decides for one, as `Algorithm.act` does; world_state and obs have a leading axis [batch].
    Nothing begins anew: what follows an episode's last step has weight 0. The world may be a learned model or any
    environment in the graph, and gradients go through both the choices and the world.
    """

    def step(carry: tuple[Any, Any, Array], key: Array) -> tuple[tuple[Any, Any, Array], Transition]:
        state, obs, alive = carry
        act_key, step_key = (jax.random.split(k, len(alive)) for k in jax.random.split(key))
        decision = jax.vmap(choose)(obs, act_key)
        state, outcome = jax.vmap(world.step)(state, decision.action, step_key)
        now = Transition(
            obs, decision.action, outcome.reward, outcome.discount, outcome.last, outcome.obs, decision.extras, alive
        )
        return (state, outcome.obs, alive * (1.0 - outcome.last)), now

    alive = jnp.ones(jax.tree.leaves(obs)[0].shape[0])
    return jax.lax.scan(step, (world_state, obs, alive), jax.random.split(key, length))[1]
