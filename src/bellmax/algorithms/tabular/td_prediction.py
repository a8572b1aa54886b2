"""TD(0) prediction (Sutton, 1988), https://doi.org/10.1007/BF00115009; Sutton & Barto, section 6.1.

After every step of the policy that is evaluated,

    V(S) <- V(S) + alpha [ R + gamma V(S') - V(S) ]                                                (eq. 6.2)

Beyond the book: several environments share the table and their changes are added up as far as they do not overshoot,
as are those of a batch of several steps; the step size may fall with the visits. A time limit is no end: its target
holds V of the state behind it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Experience, Steps
from bellmax.maths import given_policy, tables
from bellmax.maths.chance import choose
from bellmax.maths.given_policy import Policy
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import Unit


class State(NamedTuple):
    """What has been learned, and the policy it is about."""

    v: Array  # [*observation]
    count: Array  # type: ignore[assignment]  # visits, the same shape
    policy: Array  # [*observation, actions], probabilities
    steps: Array  # environment steps learned from: the clock of the schedules


class TDPrediction(Algorithm):
    """State values of a given policy, learned one step at a time."""

    experience: Experience = Steps(1)  # steps of every environment between two updates
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 0.1  # alpha
    decay: Unit = 0.0  # omega: the step size is alpha / n^omega after n visits, 0 keeps it constant
    policy: Policy = ()  # what is evaluated: an action or probabilities a state; () takes legal actions evenly
    initial: float = 0.0  # V at first

    def init(self, key: Array, spec: Spec) -> State:
        policy = given_policy.table_of(self.policy, spec, "TDPrediction.policy")
        shape = tables.sizes(spec.obs)
        return State(jnp.full(shape, self.initial, jnp.float32), jnp.zeros(shape), policy, jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        row = state.policy[tables.index(obs)]
        return Decision(choose(given_policy.probabilities(row, tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        batch = tables.each(batch)
        here, there = (jax.vmap(tables.index)(obs) for obs in (batch.obs, batch.next_obs))
        count = state.count.at[here].add(batch.weight)
        td_error = batch.reward + self.gamma * batch.discount * state.v[there] - state.v[here]
        step_size = at(self.learning_rate, state.steps) / jnp.maximum(count[here], 1) ** self.decay
        v = state.v.at[here].add(tables.together(here, batch.weight * step_size) * td_error)
        metrics = {"td_error": weighted_mean(jnp.abs(td_error), batch.weight)}
        return State(v, count, state.policy, state.steps + batch.weight.sum()), metrics
