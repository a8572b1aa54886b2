"""n-step TD prediction (Sutton, 1988), https://doi.org/10.1007/BF00115009; Sutton & Barto, section 7.1.

Every state waits until n more rewards are known, or all of its episode's. Then

    V(S_t) <- V(S_t) + alpha [ R_{t+1} + gamma R_{t+2} + ... + gamma^n V(S_{t+n}) - V(S_t) ]        (eq. 7.2)

When an episode ends, those still waiting get their turn one after the other, the oldest first, as in the book's box.

Beyond the book: the sums grow as the rewards come in; several environments share the table and what they change at the
same time is added up; a return that a time limit cuts ends with V of the state behind it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
from bellmax.ranges import Count, Unit


class Waiting(NamedTuple):
    """The last n states of every environment's episode, each with the part of its return that is known."""

    cell: Array  # int32 [env, n], the state
    total: Array  # [env, n], R + gamma R' + ... so far
    factor: Array  # [env, n], the power of gamma (times the discounts) that comes next
    taken: Array  # int32 [env], steps of the episode, of which step k has place k modulo n; multiples of n are dropped


class State(NamedTuple):
    """What has been learned, and what waits."""

    v: Array  # [*observation]
    waiting: Waiting
    policy: Array  # [*observation, actions], probabilities
    steps: Array  # environment steps learned from: the clock of the schedules


class NStepTD(Algorithm):
    """State values of a given policy from returns of n steps."""

    experience: Steps = Steps(1)  # steps of every environment between two updates
    gamma: Unit = 0.99  # discount
    n: Count = 4  # rewards in a return
    learning_rate: Scheduled = 0.1  # alpha
    policy: Policy = ()  # what is evaluated: an action or probabilities a state; () takes legal actions evenly
    initial: float = 0.0  # V at first

    def init(self, key: Array, spec: Spec) -> State:
        policy = given_policy.table_of(self.policy, spec, "NStepTD.policy")
        places, none = (spec.num_envs, self.n), jnp.zeros(spec.num_envs, jnp.int32)
        waiting = Waiting(jnp.zeros(places, jnp.int32), jnp.zeros(places), jnp.zeros(places), none)
        return State(jnp.full(tables.sizes(spec.obs), self.initial, jnp.float32), waiting, policy, jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        row = state.policy[tables.index(obs)]
        return Decision(choose(given_policy.probabilities(row, tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        shape, rate = state.v.shape, at(self.learning_rate, state.steps)
        cell, next_cell = (numbers(obs, shape) for obs in (batch.obs, batch.next_obs))
        batch = batch._replace(discount=self.gamma * batch.discount, obs=cell, next_obs=next_cell)

        def step(carry: tuple[Array, Waiting], now: Transition) -> tuple[tuple[Array, Waiting], Array]:
            v, waiting = carry
            td_error = now.reward + now.discount * v[now.next_obs] - v[now.obs]
            waiting = join(waiting, now)
            v = settle(v, waiting, now, rate)
            goes_on = ~now.last | (now.weight == 0)
            factor, taken = waiting.factor * goes_on[:, None], waiting.taken * goes_on
            return (v, waiting._replace(factor=factor, taken=taken)), td_error

        (v, waiting), td_error = jax.lax.scan(step, (state.v.reshape(-1), state.waiting), batch)
        metrics = {"td_error": weighted_mean(jnp.abs(td_error), batch.weight)}
        return State(v.reshape(shape), waiting, state.policy, state.steps + batch.weight.sum()), metrics


def join(waiting: Waiting, now: Transition) -> Waiting:
    """The step [env] takes the place of the oldest one, and its reward is told to all. Padding changes nothing."""
    envs, n = waiting.cell.shape
    place = jnp.arange(envs), waiting.taken % n
    total, factor = waiting.total.at[place].set(0.0), waiting.factor.at[place].set(1.0)
    taken = waiting.taken + 1
    joined = Waiting(
        waiting.cell.at[place].set(now.obs),
        total + factor * now.reward[:, None],
        factor * now.discount[:, None],
        jnp.where(taken == 2 * n, n, taken),
    )
    counts = now.weight > 0
    return jax.tree.map(
        lambda new, old: jnp.where(counts.reshape(-1, *[1] * (old.ndim - 1)), new, old), joined, waiting
    )


def settle(v: Array, waiting: Waiting, now: Transition, rate: float | Array) -> Array:
    """V [cells] after the steps that know n rewards had their turn; where the episode is over, after all had."""
    envs, n = waiting.cell.shape
    oldest = jnp.maximum(waiting.taken - n, 0)
    due = jnp.where(now.last, waiting.taken - oldest, waiting.taken >= n) * (now.weight > 0)

    def turn(k: Array, v: Array) -> Array:
        place = jnp.arange(envs), (oldest + k) % n
        cell, target = waiting.cell[place], waiting.total[place] + waiting.factor[place] * v[now.next_obs]
        return v.at[cell].add(jnp.where(k < due, rate * (target - v[cell]), 0.0))

    return jax.lax.fori_loop(0, due.max(), turn, v)
