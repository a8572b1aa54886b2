"""Standardised observations around any algorithm, with the running mean and variance of what it has seen.

As in the PPO authors' code (Engstrom et al., 2020, https://arxiv.org/abs/2005.12729, section 2): (obs - mean) /
deviation, clipped to +-10. Statistics learn in `update` alone, so acting and evaluating never move them, and they are
part of the state, so they are saved with the policy. Numbers are standardised; choices, switches, masks and pixels
pass through.

The batch is seen with the statistics that were used to act (so that PPO's first ratio is 1), and then counted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Experience
from bellmax.maths.statistics import Moments, no_moments, update_moments
from bellmax.ranges import Positive
from bellmax.spaces import Box, is_image


class State(NamedTuple):
    """What has been learned, and seen."""

    inner: Any
    moments: list[Moments | None]  # one a leaf of the observation; None where it passes through


class Normalised(Algorithm):
    """Around any algorithm: observations standardised and clipped."""

    inner: Algorithm
    clip: Positive = 10.0  # standardised observations are cut to this

    @property
    def experience(self) -> Experience:
        return self.inner.experience  # type: ignore[attr-defined]

    def init(self, key: Array, spec: Spec) -> State:
        leaves = jax.tree.leaves(spec.obs)
        return State(self.inner.init(key, spec), [no_moments(x.shape) if _is_numbers(x) else None for x in leaves])

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.act(state.inner, self.see(state, obs), key, memory)

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.greedy(state.inner, self.see(state, obs), key, memory)

    def begin(self, state: State, obs: Any, key: Array) -> Any:
        return self.inner.begin(state.inner, self.see(state, obs), key)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        seen = batch._replace(obs=self.see(state, batch.obs), next_obs=self.see(state, batch.next_obs))
        inner, metrics = self.inner.update(state.inner, seen, key)
        pairs = zip(state.moments, jax.tree.leaves(batch.obs))
        return State(inner, [m and update_moments(m, x, batch.weight) for m, x in pairs]), metrics

    def see(self, state: State, obs: Any) -> Any:
        """The observation as the inner algorithm gets it; any leading axes."""
        leaves, tree = jax.tree.flatten(obs)
        seen = [self._standardise(m, x) if m else x for m, x in zip(state.moments, leaves)]
        return jax.tree.unflatten(tree, seen)

    def _standardise(self, moments: Moments, x: Array) -> Array:
        return jnp.clip((x - moments.mean) * jax.lax.rsqrt(moments.variance + 1e-8), -self.clip, self.clip)


def _is_numbers(space: Any) -> bool:
    return isinstance(space, Box) and space.dtype.startswith("float") and not is_image(space)
