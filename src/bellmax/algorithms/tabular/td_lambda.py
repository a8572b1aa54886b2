"""TD(lambda) (Sutton, 1988; van Seijen et al., 2016), https://jmlr.org/papers/v17/15-599.html; Sutton & Barto, 12.2-5.

Every state keeps a trace z of how recently it was visited, and every step of the policy that is evaluated corrects all
states by it (eq. 12.5 to 12.7):

    z <- gamma lambda z,  then at S    accumulating  z(S) <- z(S) + 1
                                       replacing     z(S) <- 1
                                       dutch         z(S) <- (1 - alpha) z(S) + 1
    V <- V + alpha [ R + gamma V(S') - V(S) ] z

Dutch traces are those of true online TD(lambda), which is the online lambda-return algorithm without its cost. It also
puts right what V(S) changed by between being V(S') of the last step, `old_value`, and now (box of section 12.5):

    V <- V + alpha (V(S) - old_value) z,        V(S) <- V(S) - alpha (V(S) - old_value)

Beyond the book: several environments share the table, have traces of their own, and their changes are added up; a time
limit ends the traces, and its step sees V of the state behind it.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Steps
from bellmax.maths import given_policy, tables
from bellmax.maths.chance import choose
from bellmax.maths.given_policy import Policy
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.visits import numbers
from bellmax.ranges import Unit


class State(NamedTuple):
    """What has been learned, and the traces."""

    v: Array  # [*observation]
    trace: Array  # [env, states], z already faded for the next step; 0 where an episode begins
    old_value: Array  # [env], V of where the environment stands, as the last step saw it
    policy: Array  # [*observation, actions], probabilities
    steps: Array  # environment steps learned from: the clock of the schedules


class TDLambda(Algorithm):
    """State values of a given policy, learned with eligibility traces."""

    experience: Steps = Steps(1)  # steps of every environment between two updates
    gamma: Unit = 0.99  # discount
    lambda_: Unit = 0.9  # how slowly traces fade; 0 is TD(0)
    traces: Literal["accumulating", "replacing", "dutch"] = "dutch"  # what a visit does to a trace; dutch: true online
    learning_rate: Scheduled = 0.1  # alpha
    policy: Policy = ()  # what is evaluated: an action or probabilities a state; () takes legal actions evenly
    initial: float = 0.0  # V at first

    def init(self, key: Array, spec: Spec) -> State:
        policy = given_policy.table_of(self.policy, spec, "TDLambda.policy")
        v = jnp.full(tables.sizes(spec.obs), self.initial, jnp.float32)
        return State(v, jnp.zeros((spec.num_envs, v.size)), jnp.zeros(spec.num_envs), policy, jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        row = state.policy[tables.index(obs)]
        return Decision(choose(given_policy.probabilities(row, tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        shape, rate = state.v.shape, at(self.learning_rate, state.steps)
        cell, next_cell = (numbers(obs, shape) for obs in (batch.obs, batch.next_obs))
        batch = batch._replace(discount=self.gamma * batch.discount, obs=cell, next_obs=next_cell)

        def step(carry: tuple[Array, Array, Array], now: Transition) -> tuple[tuple[Array, Array, Array], Array]:
            v, trace, old_value = carry
            here, counts, rates = (jnp.arange(len(trace)), now.obs), now.weight > 0, rate * (now.weight > 0)
            value, next_value = v[now.obs], v[now.next_obs]
            td_error = now.reward + now.discount * next_value - value
            visited = self.visit(trace, here, rate)
            slip = value - old_value if self.traces == "dutch" else 0.0
            v = v + ((rates * (td_error + slip))[:, None] * visited).sum(0)
            v = v.at[now.obs].add(-rates * slip)
            faded = visited * (self.lambda_ * now.discount * (1.0 - now.last))[:, None]
            trace = jnp.where(counts[:, None], faded, trace)
            return (v, trace, jnp.where(counts, next_value, old_value)), td_error

        carry = state.v.reshape(-1), state.trace, state.old_value
        (v, trace, old_value), td_error = jax.lax.scan(step, carry, batch)
        metrics = {"td_error": weighted_mean(jnp.abs(td_error), batch.weight)}
        return State(v.reshape(shape), trace, old_value, state.policy, state.steps + batch.weight.sum()), metrics

    def visit(self, trace: Array, here: tuple[Array, Array], rate: float | Array) -> Array:
        """The traces [env, states] after a visit to `here`, (every environment, its state)."""
        if self.traces == "accumulating":
            return trace.at[here].add(1.0)
        if self.traces == "replacing":
            return trace.at[here].set(1.0)
        return trace.at[here].set((1 - rate) * trace[here] + 1)
