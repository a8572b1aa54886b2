"""Several worlds in one, and what can be wrong with a world: all of it numbers, so that one compilation serves."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec


class OneOf(Env):
    """One of `worlds`, which are alike in shape; spec is the last one's. `which`, and the faults, may be traced."""

    worlds: tuple[Env, ...]
    which: float = 0.0
    shuffled: float = 0.0  # 1: a coin decides on the reward's sign, so that it says nothing about obs and action
    cut_is_end: float = 0.0  # 1: a time limit is reported as a termination

    @property
    def spec(self) -> Spec:
        return self.worlds[-1].spec

    def reset(self, key: Array) -> tuple[Any, Any]:
        return self._chosen([world.reset(key) for world in self.worlds])

    def step(self, env_state: Any, action: Any, key: Array) -> tuple[Any, Outcome]:
        env_state, now = self._chosen([world.step(env_state, action, key) for world in self.worlds])
        sign = jnp.where(jax.random.bernoulli(key), 1.0, 1.0 - 2.0 * self.shuffled)
        discount = now.discount * (1 - self.cut_is_end * now.last)
        return env_state, now._replace(reward=now.reward * sign, discount=discount)

    def _chosen(self, options: list[Any]) -> Any:
        which = jnp.asarray(self.which, jnp.int32)
        return jax.tree.map(lambda *x: jnp.stack(x)[which], *options)
