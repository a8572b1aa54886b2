"""Batch TD(0) and batch Monte Carlo (Sutton, 1988), https://doi.org/10.1007/BF00115009; Sutton & Barto, section 6.3.

All steps seen so far are kept. After every batch they are gone through again and again, V changing after each sweep by
the sum of its increments, until it settles:

    V(S) <- V(S) + alpha [ G - V(S) ],      G = R + gamma V(S')             "td"
                                            G = R + gamma R' + ...          "mc"

TD settles at the values of the most likely model of what was seen (certainty equivalence), Monte Carlo at the averages
of the returns that were seen, which fit the past best and the future worse.

Beyond the book: a sweep's increments of a state are averaged over its visits rather than added up, which settles at the
same values, without a step size to tune; memory is fixed, and when it is full the oldest steps go. Behind a time limit
"td" sees V of the state there and "mc" 0.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Episodes
from bellmax.maths import given_policy, tables
from bellmax.maths.chance import choose
from bellmax.maths.given_policy import Policy
from bellmax.maths.returns import monte_carlo_return
from bellmax.maths.visits import numbers
from bellmax.ranges import Count, NonNegative, Unit


class Past(NamedTuple):
    """The steps that are kept, [capacity]: targets are reward + discount V(next_cell)."""

    cell: Array  # int32, the state
    next_cell: Array  # int32, the state behind it
    reward: Array  # R, or for "mc" the return
    discount: Array  # gamma, 0 where the episode terminated and for "mc"
    weight: Array  # 1 where something is kept


class State(NamedTuple):
    """What has been learned, and from what."""

    v: Array  # [*observation]
    past: Past
    end: Array  # int32, where the next step will be kept
    policy: Array  # [*observation, actions], probabilities


class BatchPrediction(Algorithm):
    """State values of a given policy that fit everything seen so far."""

    experience: Episodes = Episodes(500)  # whole episodes, cut at this many steps
    gamma: Unit = 0.99  # discount
    target: Literal["td", "mc"] = "td"  # what values are fitted to: rewards and next values, or returns
    learning_rate: Unit = 1.0  # alpha, of the mean increment of a state in one sweep
    tolerance: NonNegative = 1e-5  # V has settled when no state changes by more in a sweep
    most_sweeps: Count = 10_000  # sweeps after which it is left at that
    capacity: Count = 20_000  # steps kept
    policy: Policy = ()  # what is evaluated: an action or probabilities a state; () takes legal actions evenly
    initial: float = 0.0  # V at first

    def init(self, key: Array, spec: Spec) -> State:
        if self.experience.length * spec.num_envs > self.capacity:
            raise ValueError(
                f"BatchPrediction.capacity = {self.capacity}: one round may bring {spec.num_envs} episodes of "
                f"{self.experience.length} steps; keep at least {self.experience.length * spec.num_envs}."
            )
        policy = given_policy.table_of(self.policy, spec, "BatchPrediction.policy")
        nothing = [jnp.zeros(self.capacity, kind) for kind in (jnp.int32, jnp.int32, *[jnp.float32] * 3)]
        v = jnp.full(tables.sizes(spec.obs), self.initial, jnp.float32)
        return State(v, Past(*nothing), jnp.int32(0), policy)

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        row = state.policy[tables.index(obs)]
        return Decision(choose(given_policy.probabilities(row, tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        past, end = self.keep(state, batch)
        visits = jnp.zeros(state.v.size).at[past.cell].add(past.weight)

        def sweep(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            v, _, sweeps = carry
            increment = past.weight * (past.reward + past.discount * v[past.next_cell] - v[past.cell])
            change = self.learning_rate * jnp.zeros_like(v).at[past.cell].add(increment) / jnp.maximum(visits, 1)
            return v + change, jnp.abs(change).max(), sweeps + 1

        def unsettled(carry: tuple[Array, Array, Array]) -> Array:
            return (carry[1] > self.tolerance) & (carry[2] < self.most_sweeps)

        before = state.v.reshape(-1), jnp.float32(jnp.inf), jnp.int32(0)
        v, change, sweeps = jax.lax.while_loop(unsettled, sweep, before)
        return State(v.reshape(state.v.shape), past, end, state.policy), {"change": change, "sweeps": sweeps}

    def keep(self, state: State, batch: Transition) -> tuple[Past, Array]:
        """What is kept, the new steps among it, and where the next will go."""
        cell, next_cell = (numbers(obs, state.v.shape) for obs in (batch.obs, batch.next_obs))
        reward, discount = batch.reward, self.gamma * batch.discount
        if self.target == "mc":
            reward, discount = monte_carlo_return(reward, discount, batch.last), jnp.zeros_like(discount)
        real = (batch.weight > 0).reshape(-1)
        place = jnp.where(real, (state.end + jnp.cumsum(real) - 1) % self.capacity, self.capacity)  # else: nowhere
        new = Past(cell, next_cell, reward, discount, batch.weight)
        past = jax.tree.map(lambda kept, x: kept.at[place].set(x.reshape(-1), mode="drop"), state.past, new)
        return past, (state.end + real.sum()) % self.capacity
