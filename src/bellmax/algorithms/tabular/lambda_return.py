"""The off-line lambda-return algorithm (Watkins, 1989); Sutton & Barto, section 12.1.

https://www.cs.rhul.ac.uk/~chrisw/new_thesis.pdf

Play an episode by the policy that is evaluated, leaving V alone. Then, at every step of it from the first to the last,

    V(S) <- V(S) + alpha [ G^lambda - V(S) ]                                                       (eq. 12.4)

where G^lambda mixes the returns of 1, 2, 3, ... steps, the n-step one in proportion to lambda^(n - 1) (eq. 12.2), all
seen with the values of the episode's beginning.

Beyond the book: several environments play one episode each and are learned from side by side, step by step in order of
time, changes of one time added up; a return that a time limit cuts ends with V of the state behind it.
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
from bellmax.maths.returns import lambda_return
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.visits import approach, numbers
from bellmax.ranges import Unit


class State(NamedTuple):
    """What has been learned, and the policy it is about."""

    v: Array  # [*observation]
    count: Array  # type: ignore[assignment]  # visits, the same shape
    policy: Array  # [*observation, actions], probabilities
    steps: Array  # environment steps learned from: the clock of the schedules


class LambdaReturn(Algorithm):
    """State values of a given policy from whole episodes: the forward view of TD(lambda)."""

    experience: Episodes = Episodes(500)  # whole episodes, cut at this many steps
    gamma: Unit = 0.99  # discount
    lambda_: Unit = 0.9  # 0 looks one step ahead, 1 to the end
    learning_rate: Scheduled = 0.1  # alpha
    decay: Unit = 0.0  # omega: the step size is alpha / n^omega after n visits, 0 keeps it constant
    policy: Policy = ()  # what is evaluated: an action or probabilities a state; () takes legal actions evenly
    initial: float = 0.0  # V at first

    def init(self, key: Array, spec: Spec) -> State:
        policy = given_policy.table_of(self.policy, spec, "LambdaReturn.policy")
        shape = tables.sizes(spec.obs)
        return State(jnp.full(shape, self.initial, jnp.float32), jnp.zeros(shape), policy, jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        row = state.policy[tables.index(obs)]
        return Decision(choose(given_policy.probabilities(row, tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        shape, v, count = state.v.shape, state.v.reshape(-1), state.count.reshape(-1)
        cell, next_cell = (numbers(obs, shape) for obs in (batch.obs, batch.next_obs))
        discount = self.gamma * batch.discount
        target = lambda_return(batch.reward, discount, v[next_cell], batch.last, self.lambda_)
        error = weighted_mean(jnp.abs(target - v[cell]), batch.weight)
        rate = at(self.learning_rate, state.steps)
        v, count = approach(v, count, cell, target, batch.weight, rate, self.decay)
        steps = state.steps + batch.weight.sum()
        return State(v.reshape(shape), count.reshape(shape), state.policy, steps), {"return_error": error}
