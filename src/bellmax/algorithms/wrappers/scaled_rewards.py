"""Rewards divided by the deviation of the discounted return, around any on-policy algorithm.

As in the PPO authors' code (Engstrom et al., 2020, https://arxiv.org/abs/2005.12729, section 2 and algorithm 1): each
environment keeps R <- gamma R + r, and rewards are divided by the standard deviation of all R so far, clipped to +-10.
The mean is not subtracted: that would change what is optimal. Scores that are reported stay unscaled.

Beyond their code: the statistics take in the whole batch before it is scaled; R starts anew with each episode.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Outcome, Spec, Transition
from bellmax.experience import Experience
from bellmax.maths.standardising import running_return
from bellmax.maths.statistics import Moments, no_moments, update_moments
from bellmax.ranges import Positive, Unit


class State(NamedTuple):
    """What has been learned, and seen."""

    inner: Any
    moments: Moments  # of the discounted returns
    returns: Array  # R of the running episodes, [env]


class ScaledRewards(Algorithm):
    """Around any on-policy algorithm: rewards of about unit size."""

    inner: Algorithm
    gamma: Unit = 0.99  # discount of the return whose deviation is taken
    clip: Positive = 10.0  # scaled rewards are cut to this

    def __post_init__(self) -> None:
        Algorithm.__post_init__(self)
        if self.experience.replays:
            raise ValueError(
                f"ScaledRewards.inner = {type(self.inner).__name__}(...): it replays steps in no order, and a scale is "
                "found from rewards in their order; leave ScaledRewards out, or scale in the environment."
            )

    @property
    def experience(self) -> Experience:
        return self.inner.experience  # type: ignore[attr-defined]

    def init(self, key: Array, spec: Spec) -> State:
        return State(self.inner.init(key, spec), no_moments(), jnp.zeros(spec.num_envs))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.act(state.inner, obs, key, memory)

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.greedy(state.inner, obs, key, memory)

    def begin(self, state: State, obs: Any, key: Array) -> Any:
        return self.inner.begin(state.inner, obs, key)

    def hear(self, state: State, memory: Any, outcome: Outcome) -> Any:
        return self.inner.hear(state.inner, memory, outcome)

    def observe(self, state: State, fresh: Transition) -> State:
        return state._replace(inner=self.inner.observe(state.inner, fresh))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        running, returns = running_return(state.returns, batch.reward, batch.last, self.gamma)
        moments = update_moments(state.moments, returns, batch.weight)
        scale = jax.lax.rsqrt(moments.variance + 1e-8)
        reward = jnp.clip(batch.reward * scale, -self.clip, self.clip)
        inner, metrics = self.inner.update(state.inner, batch._replace(reward=reward), key)
        return State(inner, moments, running), metrics | {"reward_scale": scale}
