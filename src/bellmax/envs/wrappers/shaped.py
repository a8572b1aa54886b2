"""Rewards that lead the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome
from bellmax.envs.wrappers.wrapper import Wrapper, seen
from bellmax.maths.shaping import shaping_reward
from bellmax.ranges import Unit


class ShapedState(NamedTuple):
    """The inner state, and what it promises."""

    inner: Any
    potential: Array  # Phi(s), float32


class Shaped(Wrapper):
    """Potential-based shaping: `Shaped(CartPole(), lambda obs: -jnp.abs(obs[2]), gamma=0.99)`.

    F = gamma Phi(s') - Phi(s) is added to every reward (`bellmax.maths.shaping`), Phi being 0 where an episode ends for
    good. The best policies stay the best ones, and a value V becomes V - Phi. `potential` maps an observation, without
    its mask, to a number; what it is not told cannot be promised, so it must say all the policy needs where the
    observation does not. `gamma` is that of the algorithm. Evaluations count the true rewards.
    """

    potential: Callable[[Any], Any]
    gamma: Unit = 0.99  # the algorithm's discount

    @property
    def for_evaluation(self) -> Env:
        """The same environment with its own rewards."""
        return self.inner

    def reset(self, key: Array) -> tuple[ShapedState, Any]:
        inner, obs = self.inner.reset(key)
        return ShapedState(inner, self._promised(obs)), obs

    def step(self, env_state: ShapedState, action: Any, key: Array) -> tuple[ShapedState, Outcome]:
        inner, outcome = self.inner.step(env_state.inner, action, key)
        potential = self._promised(outcome.obs)
        bonus = shaping_reward(env_state.potential, potential, self.gamma * outcome.discount)
        return ShapedState(inner, potential), outcome._replace(reward=outcome.reward + bonus)

    def _promised(self, obs: Any) -> Array:
        return jnp.asarray(self.potential(seen(obs)), jnp.float32).reshape(())
