"""Curiosity around any algorithm: it is paid for what is new, beside what the world pays.

    reward + weight * bonus

The bonus is one of `bellmax.bonuses`: counts of states by their hash (Tang et al., 2017,
https://arxiv.org/abs/1611.04717), the error in predicting a random network (RND; Burda et al., 2019,
https://arxiv.org/abs/1810.12894), or in predicting the next observation's features (ICM; Pathak et al., 2017,
https://arxiv.org/abs/1705.05363). Scores that are reported leave it out.

Beyond the papers: with replay a bonus is that of the moment at which a step is sampled, not of when it was taken, so
what has become familiar no longer pays; counts grow with the steps that are taken, not with those that are replayed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
from jax import Array

from bellmax.bonuses import Bonus, HashedCounts
from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Experience
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import NonNegative


class State(NamedTuple):
    """What has been learned, and what is known already."""

    inner: Any
    bonus: Any


class Curious(Algorithm):
    """Around any algorithm: rewards with a bonus for what is new."""

    inner: Algorithm
    bonus: Bonus = HashedCounts()
    weight: NonNegative = 1.0  # of the bonus beside the reward: beta

    @property
    def experience(self) -> Experience:
        return self.inner.experience  # type: ignore[attr-defined]

    def init(self, key: Array, spec: Spec) -> State:
        inner_key, bonus_key = jax.random.split(key)
        return State(self.inner.init(inner_key, spec), self.bonus.init(bonus_key, spec))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.act(state.inner, obs, key, memory)

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.greedy(state.inner, obs, key, memory)

    def begin(self, state: State, obs: Any, key: Array) -> Any:
        return self.inner.begin(state.inner, obs, key)

    def observe(self, state: State, fresh: Transition) -> State:
        return State(self.inner.observe(state.inner, fresh), self.bonus.observe(state.bonus, fresh))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        inner_key, bonus_key = jax.random.split(key)
        bonus = self.bonus.of(state.bonus, batch)
        paid = batch._replace(reward=batch.reward + self.weight * bonus)
        inner, metrics = self.inner.update(state.inner, paid, inner_key)
        known, found = self.bonus.learn(state.bonus, batch, bonus_key)
        return State(inner, known), metrics | found | {"bonus": weighted_mean(bonus, batch.weight)}
