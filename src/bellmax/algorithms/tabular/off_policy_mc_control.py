"""Off-policy Monte Carlo control (Sutton & Barto, 2018), section 5.7, https://mitpress.mit.edu/9780262039246/.

Play an episode by a soft policy b; then go backwards through it with G = 0 and W = 1, and at every step

    G <- gamma G + R
    C(S,A) <- C(S,A) + W,       Q(S,A) <- Q(S,A) + W / C(S,A) [ G - Q(S,A) ]
    stop if A is not greedy in Q(S), else W <- W / b(A|S)

so that Q is the weighted average of what the greedy policy would have brought. An episode teaches its tail alone: what
comes after the last action that was not greedy, and that action.

Beyond the book: several environments play one episode each and are gone through side by side; where a time limit cuts
one, max Q stands for the rest of the return; every one of several best actions that tie is greedy; W ends at 1e30,
before float32 does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Episodes
from bellmax.maths import tables
from bellmax.maths.chance import choose
from bellmax.maths.exploration import EpsilonGreedy, Exploration, best, greedy
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import Unit


class State(NamedTuple):
    """What has been learned."""

    q: Array  # [*observation, actions]
    total: Array  # C: the weight that each is the average of, the same shape
    count: Array  # type: ignore[assignment]  # how often each action was taken, the same shape
    steps: Array  # environment steps learned from: the clock of the schedules


class Behind(NamedTuple):
    """What lies behind a step of every environment, [env]."""

    target: Array  # G
    importance: Array  # W


class OffPolicyMCControl(Algorithm):
    """Control by weighted averages of returns, while exploring for good."""

    experience: Episodes = Episodes(500)  # whole episodes, cut at this many steps
    gamma: Unit = 0.99  # discount
    exploration: Exploration = EpsilonGreedy(0.3)  # how actions are chosen while learning: b, which must be soft
    initial: float = 0.0  # Q until it is first learned; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        shape = tables.shape_of(spec)
        return State(jnp.full(shape, self.initial, jnp.float32), jnp.zeros(shape), jnp.zeros(shape), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q, count = (table[tables.index(obs)] for table in (state.q, state.count))
        probabilities = self.exploration.probabilities(q, count, state.steps, tables.legal_of(obs))
        action = choose(probabilities, key)
        return Decision(action, {"probability": probabilities[action]})

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        action = choose(greedy(state.q[tables.index(obs)], tables.legal_of(obs)), key)
        return Decision(action, {"probability": jnp.float32(1)})

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        cells = tables.cells(*jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (batch.obs, batch.action)))
        count = state.count.at[cells].add(batch.weight.reshape(-1))
        state = state._replace(count=count, steps=state.steps + batch.weight.sum())
        nothing = Behind(jnp.zeros_like(batch.reward[0]), jnp.zeros_like(batch.reward[0]))
        (state, _), (error, weight) = jax.lax.scan(self.backwards, (state, nothing), batch, reverse=True)
        learned = (weight > 0).astype(weight.dtype)
        return state, {
            "return_error": weighted_mean(jnp.abs(error), learned),
            "learned": weighted_mean(learned, batch.weight),  # the share of the steps that taught something
            "reward": weighted_mean(batch.reward, batch.weight),
        }

    def backwards(self, carry: tuple[State, Behind], now: Transition) -> tuple[tuple[State, Behind], Any]:
        """One step of every environment, [env] -> the carry for the step before it, errors and their weights."""
        state, behind = carry
        cells, legal = tables.cells(now.obs, now.action), tables.legal_of(now.obs)
        end_value = best(tables.rows(state.q, now.next_obs), tables.legal_of(now.next_obs))
        target = now.reward + self.gamma * now.discount * jnp.where(now.last, end_value, behind.target)
        weight = now.weight * jnp.where(now.last, 1.0, behind.importance)
        total = state.total.at[cells].add(weight)
        error = target - state.q[cells]
        change = jnp.where(weight > 0, weight / jnp.where(weight > 0, total[cells], 1) * error, 0)
        state = state._replace(q=state.q.at[cells].add(change), total=total)
        is_greedy = state.q[cells] == best(tables.rows(state.q, now.obs), legal)
        importance = jnp.where(is_greedy, jnp.minimum(weight / now.extras["probability"], 1e30), 0.0)
        return (state, Behind(target, importance)), (error, weight)
