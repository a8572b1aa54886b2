"""Monte Carlo prediction (Singh & Sutton, 1996), https://doi.org/10.1007/BF00114726; Sutton & Barto, section 5.1.

Play an episode by the policy that is evaluated. At every step of it, or with `first_visit` where a state is entered for
the first time,

    V(S) <- V(S) + alpha [ G - V(S) ],      G = R + gamma R' + gamma^2 R'' + ...                    (eq. 6.1)

with alpha = 1 / n(S), so that V is the average return, or with `decay=0` constant.

Beyond the book: several environments play one episode each and are learned from side by side, step by step in order of
time, changes of one time added up; what lies behind a time limit counts as 0, since there is no bootstrapping here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Episodes
from bellmax.maths import given_policy, tables
from bellmax.maths.chance import choose
from bellmax.maths.given_policy import Policy
from bellmax.maths.returns import monte_carlo_return
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.visits import approach, first_visits, numbers
from bellmax.ranges import Unit


class State(NamedTuple):
    """What has been learned, and the policy it is about."""

    v: Array  # [*observation]
    count: Array  # type: ignore[assignment]  # visits averaged so far, the same shape
    policy: Array  # [*observation, actions], probabilities
    steps: Array  # environment steps learned from: the clock of the schedules


class MCPrediction(Algorithm):
    """State values of a given policy as averages of returns."""

    experience: Episodes = Episodes(500)  # whole episodes, cut at this many steps
    gamma: Unit = 0.99  # discount
    first_visit: bool = False  # count a state's first visit in an episode alone, not every one
    learning_rate: Scheduled = 1.0  # alpha
    decay: Unit = 1.0  # omega: the step size is alpha / n^omega after n visits, 1 averages, 0 keeps it constant
    policy: Policy = ()  # what is evaluated: an action or probabilities a state; () takes legal actions evenly
    initial: float = 0.0  # V at first

    def init(self, key: Array, spec: Spec) -> State:
        policy = given_policy.table_of(self.policy, spec, "MCPrediction.policy")
        shape = tables.sizes(spec.obs)
        return State(jnp.full(shape, self.initial, jnp.float32), jnp.zeros(shape), policy, jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        row = state.policy[tables.index(obs)]
        return Decision(choose(given_policy.probabilities(row, tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        shape, cell = state.v.shape, numbers(batch.obs, state.v.shape)
        target = monte_carlo_return(batch.reward, self.gamma * batch.discount, batch.last)
        error = weighted_mean(jnp.abs(target - state.v.reshape(-1)[cell]), batch.weight)
        weight = first_visits(cell, batch.weight) if self.first_visit else batch.weight
        tables_before, rate = (state.v.reshape(-1), state.count.reshape(-1)), at(self.learning_rate, state.steps)
        v, count = approach(*tables_before, cell, target, weight, rate, self.decay)
        steps = state.steps + batch.weight.sum()
        return State(v.reshape(shape), count.reshape(shape), state.policy, steps), {"return_error": error}
