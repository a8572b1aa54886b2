"""Off-policy Monte Carlo prediction (Precup, Sutton & Singh, 2000); Sutton & Barto, sections 5.5 and 5.6.

https://scholarworks.umass.edu/cs_faculty_pubs/80. Play an episode by one policy, b, and learn from it what another, pi,
is worth: at every step, or with `first_visit` where a state is entered for the first time, the return is weighed by how
much more probable pi made what followed,

    W = product of pi(A|S) / b(A|S) from here to the episode's end                                 (eq. 5.3)
    weighted:   C(S) <- C(S) + W,    V(S) <- V(S) + W / C(S) [ G - V(S) ]                          (eq. 5.8 for 5.6)
    ordinary:   n(S) <- n(S) + 1,    V(S) <- V(S) + 1 / n(S) [ W G - V(S) ]                        (eq. 5.5)

The ordinary average is unbiased and may have infinite variance; the weighted one is biased and consistent.

Beyond the book: V rather than Q; several environments play one episode each, changes of one time added up; what lies
behind a time limit counts as 0.
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
from bellmax.maths.returns import discounted_sum, monte_carlo_return
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.visits import approach, first_visits, numbers
from bellmax.ranges import Unit


class State(NamedTuple):
    """What has been learned, and the policies it is about."""

    v: Array  # [*observation]
    total: Array  # C or n: weights or visits so far, the same shape
    policy: Array  # [*observation, actions], probabilities: pi
    behaviour: Array  # [*observation, actions], probabilities: b


class OffPolicyMCPrediction(Algorithm):
    """State values of one policy as averages of what another brings, by importance sampling."""

    experience: Episodes = Episodes(500)  # whole episodes, cut at this many steps
    gamma: Unit = 0.99  # discount
    weighted: bool = True  # weighted importance sampling, not the ordinary kind
    first_visit: bool = False  # count a state's first visit in an episode alone, not every one
    policy: Policy = ()  # what is evaluated: an action or probabilities a state; () takes legal actions evenly
    behaviour: Policy = ()  # what acts while learning, written alike
    initial: float = 0.0  # V at first

    def init(self, key: Array, spec: Spec) -> State:
        policy = given_policy.table_of(self.policy, spec, "OffPolicyMCPrediction.policy")
        behaviour = given_policy.table_of(self.behaviour, spec, "OffPolicyMCPrediction.behaviour")
        given_policy.covers(self.behaviour, self.policy, spec)
        shape = tables.sizes(spec.obs)
        return State(jnp.full(shape, self.initial, jnp.float32), jnp.zeros(shape), policy, behaviour)

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        place, legal = tables.index(obs), tables.legal_of(obs)
        target, behaviour = (given_policy.probabilities(t[place], legal) for t in (state.policy, state.behaviour))
        action = choose(behaviour, key)
        return Decision(action, {"ratio": target[action] / behaviour[action]})

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        action = choose(given_policy.probabilities(state.policy[tables.index(obs)], tables.legal_of(obs)), key)
        return Decision(action, {"ratio": jnp.float32(1)})

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        shape, v, cell = state.v.shape, state.v.reshape(-1), numbers(batch.obs, state.v.shape)
        target = monte_carlo_return(batch.reward, self.gamma * batch.discount, batch.last)
        importance = self.importance(batch)
        weight = first_visits(cell, batch.weight) if self.first_visit else batch.weight
        metrics = {
            "return_error": weighted_mean(jnp.abs(importance * target - v[cell]), batch.weight),
            "importance": weighted_mean(importance, batch.weight),
        }
        if self.weighted:
            weight = weight * importance
        else:
            target = importance * target
        v, total = approach(v, state.total.reshape(-1), cell, target, weight)
        return State(v.reshape(shape), total.reshape(shape), state.policy, state.behaviour), metrics

    def importance(self, batch: Transition) -> Array:
        """W, the product of the ratios from each step to its episode's end: W = ratio W', and 1 behind the end."""
        ratio = batch.extras["ratio"]
        return discounted_sum(ratio * batch.last, ratio * (1.0 - batch.last), jnp.ones_like(ratio[-1]))
