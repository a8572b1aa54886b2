"""Curiosity around any algorithm: it is paid for what is new, beside what the world pays.

    reward + weight * bonus

The bonus is one of `bellmax.bonuses`: counts of states by their hash (Tang et al., 2017,
https://arxiv.org/abs/1611.04717), the error in predicting a random network (RND; Burda et al., 2019,
https://arxiv.org/abs/1810.12894), or in predicting the next observation's features (ICM; Pathak et al., 2017,
https://arxiv.org/abs/1705.05363). Scores that are reported leave it out.

Beyond the papers: with replay a bonus is that of the moment at which a step is sampled, not of when it was taken, so
what has become familiar no longer pays; counts grow with the steps that are taken, not with those that are replayed.
`untried_first` takes, in acting, what was never tried where one stands, before it asks the algorithm: a bonus is paid
for what was tried, and nobody expects it of what was not (as in R-max: Brafman & Tennenholtz, 2002,
https://www.jmlr.org/papers/v3/brafman02a.html). For algorithms that replay, and so may learn from any action.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.bonuses import Bonus, HashedCounts
from bellmax.core import Algorithm, Decision, Outcome, Spec, Transition
from bellmax.experience import Experience
from bellmax.maths.chance import choose
from bellmax.maths.exploration import evenly
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.ranges import NonNegative
from bellmax.spaces import zeros


class State(NamedTuple):
    """What has been learned, and what is known already."""

    inner: Any
    bonus: Any


class Curious(Algorithm):
    """Around any algorithm: rewards with a bonus for what is new."""

    inner: Algorithm
    bonus: Bonus = HashedCounts()
    weight: NonNegative = 1.0  # of the bonus beside the reward: beta
    untried_first: bool = False  # while learning, first what was never tried there

    def __post_init__(self) -> None:
        Algorithm.__post_init__(self)
        if self.untried_first and not self.experience.replays:
            raise ValueError(
                f"Curious.untried_first = True: {type(self.inner).__name__} learns from its own choices alone; "
                "leave untried_first out, or take an algorithm that replays."
            )

    @property
    def experience(self) -> Experience:
        return self.inner.experience  # type: ignore[attr-defined]

    def init(self, key: Array, spec: Spec) -> State:
        inner_key, bonus_key = jax.random.split(key)
        state = State(self.inner.init(inner_key, spec), self.bonus.init(bonus_key, spec))
        if self.untried_first:
            self.bonus.untried(state.bonus, zeros(spec.obs))  # says at once if it cannot
        return state

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        if not self.untried_first:
            return self.inner.act(state.inner, obs, key, memory)
        inner_key, untried_key = jax.random.split(key)
        decision, legal = self.inner.act(state.inner, obs, inner_key, memory), legal_of(obs)
        untried = self.bonus.untried(state.bonus, obs)
        untried = untried if legal is None else untried & legal
        action = choose(evenly(untried.astype(jnp.float32), untried), untried_key)
        return decision._replace(action=jnp.where(untried.any(), action, decision.action))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.greedy(state.inner, obs, key, memory)

    def begin(self, state: State, obs: Any, key: Array) -> Any:
        return self.inner.begin(state.inner, obs, key)

    def hear(self, state: State, memory: Any, outcome: Outcome) -> Any:
        return self.inner.hear(state.inner, memory, outcome)

    def observe(self, state: State, fresh: Transition) -> State:
        return State(self.inner.observe(state.inner, fresh), self.bonus.observe(state.bonus, fresh))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        inner_key, bonus_key = jax.random.split(key)
        bonus = self.bonus.of(state.bonus, batch)
        paid = batch._replace(reward=batch.reward + self.weight * bonus)
        inner, metrics = self.inner.update(state.inner, paid, inner_key)
        known, found = self.bonus.learn(state.bonus, batch, bonus_key)
        return State(inner, known), metrics | found | {"bonus": weighted_mean(bonus, batch.weight)}
