"""Sensors that are not exact."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Outcome, Spec
from bellmax.envs.wrappers.wrapper import Wrapper, instead, is_noisy, seen, unbounded
from bellmax.ranges import Range

Deviation = Annotated[float | tuple[float, ...], Range(0)]


class NoisyState(NamedTuple):
    """The inner state."""

    inner: Any


class NoisyObservations(Wrapper):
    """Normal noise of mean 0 on every number observed, drawn at every step; choices, masks and pixels stay exact.

    `noise` is its standard deviation, in the observation's units: one number, or as many as the last axis of the
    observation has. The physics and the rewards are the inner environment's.
    """

    noise: Deviation = 0.1  # standard deviation

    @property
    def spec(self) -> Spec:
        inner = self.inner.spec
        return inner._replace(obs=instead(inner.obs, unbounded(seen(inner.obs))))

    def reset(self, key: Array) -> tuple[NoisyState, Any]:
        noise_key, inner_key = jax.random.split(key)
        inner, obs = self.inner.reset(inner_key)
        return NoisyState(inner), self._disturbed(obs, noise_key)

    def step(self, env_state: NoisyState, action: Any, key: Array) -> tuple[NoisyState, Outcome]:
        noise_key, inner_key = jax.random.split(key)
        inner, outcome = self.inner.step(env_state.inner, action, inner_key)
        return NoisyState(inner), outcome._replace(obs=self._disturbed(outcome.obs, noise_key))

    def _disturbed(self, obs: Any, key: Array) -> Any:
        spaces = jax.tree.leaves(seen(self.inner.spec.obs))
        leaves, tree = jax.tree.flatten(seen(obs))
        keys = jax.random.split(key, len(leaves))
        deviation = jnp.asarray(self.noise, jnp.float32)
        noisy = [
            x + deviation * jax.random.normal(k, x.shape, x.dtype) if is_noisy(space) else x
            for space, x, k in zip(spaces, leaves, keys)
        ]
        return instead(obs, jax.tree.unflatten(tree, noisy))
