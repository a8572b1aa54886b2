"""Watkins's Q(lambda) (Watkins, 1989); Sutton & Barto, section 12.10, https://mitpress.mit.edu/9780262039246/.

Q-learning with a trace z of how long ago every pair (s,a) was visited, cut where the learner leaves the greedy policy,
because what comes then says nothing about it. In every step

    z(s,a) <- gamma lambda z(s,a) for all s, a      if A is a greedy action of S, else 0
    z(S,A) <- z(S,A) + 1     (accumulating)         or         z(S,A) <- 1     (replacing)
    delta = R + gamma max_a Q(S',a) - Q(S,A)
    Q(s,a) <- Q(s,a) + alpha delta z(s,a)           for all s, a

and at the start of an episode z = 0.

Beyond the book: as in Q-learning the next action is chosen after the update, not before it, and the table that chose
says whether it is greedy (every one of several that tie is); several environments have a trace each, share the table
and their changes are added up; the step size may fall with the visits to (s,a).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Steps
from bellmax.maths import tables
from bellmax.maths.chance import choose
from bellmax.maths.exploration import EpsilonGreedy, Exploration, best, greedy
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import Unit


class State(NamedTuple):
    """What has been learned."""

    q: Array  # [*observation, actions]
    count: Array  # type: ignore[assignment]  # how often each action was taken, the same shape
    steps: Array  # environment steps learned from: the clock of the schedules
    trace: Array  # z, faded already for the step to come, [env, *observation, actions]


class WatkinsQLambda(Algorithm):
    """Off-policy control with eligibility traces."""

    experience: Steps = Steps(1)  # steps of every environment between two updates
    lambda_: Unit = 0.9  # how slowly a trace fades; 0 is Q-learning
    traces: Literal["accumulating", "replacing"] = "replacing"  # what a visit does to the trace
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 0.1  # alpha
    decay: Unit = 0.0  # omega: the step size is alpha / n^omega after n visits, 0 keeps it constant
    exploration: Exploration = EpsilonGreedy(0.1)  # how actions are chosen while learning
    initial: float = 0.0  # Q at first; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        shape = tables.shape_of(spec)
        q, trace = jnp.full(shape, self.initial, jnp.float32), jnp.zeros((spec.num_envs, *shape))
        return State(q, jnp.zeros(shape), jnp.zeros(()), trace)

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q, count = (table[tables.index(obs)] for table in (state.q, state.count))
        return Decision(choose(self.exploration.probabilities(q, count, state.steps, tables.legal_of(obs)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.q[tables.index(obs)], tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        state, td_error = jax.lax.scan(self.step, state, batch)
        return state, {"td_error": weighted_mean(jnp.abs(td_error), batch.weight)}

    def step(self, state: State, now: Transition) -> tuple[State, Array]:
        """One step of every environment, [env] -> state, TD errors [env]."""
        cells = tables.cells(now.obs, now.action)
        trace, count = self.visit(state, now, cells), state.count.at[cells].add(now.weight)
        next_value = best(tables.rows(state.q, now.next_obs), tables.legal_of(now.next_obs))
        td_error = now.reward + self.gamma * now.discount * next_value - state.q[cells]
        step_size = at(self.learning_rate, state.steps) / jnp.maximum(count, 1) ** self.decay
        q = state.q + step_size * jnp.tensordot(now.weight * td_error, trace, 1)
        fading = self.gamma * self.lambda_ * now.discount * (1 - now.last)
        trace = jax.vmap(jnp.multiply)(jnp.where(now.weight > 0, fading, 1), trace)
        return State(q, count, state.steps + now.weight.sum(), trace), td_error

    def visit(self, state: State, now: Transition, cells: tuple[Array, ...]) -> Array:
        """Cut the traces of environments that took no greedy action, and mark where all of them are."""
        is_greedy = state.q[cells] == best(tables.rows(state.q, now.obs), tables.legal_of(now.obs))
        trace = jax.vmap(jnp.multiply)(jnp.where((now.weight > 0) & ~is_greedy, 0.0, 1.0), state.trace)
        marked = trace.at[(jnp.arange(len(now.weight)), *cells)]
        return marked.add(now.weight) if self.traces == "accumulating" else marked.max(now.weight)
