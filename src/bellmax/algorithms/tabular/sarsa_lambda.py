"""SARSA(lambda) (Rummery, 1995); Sutton & Barto, section 12.7, https://mitpress.mit.edu/9780262039246/.

Every pair (s,a) has a trace z of how long ago it was visited. In every step, A' being the action that is taken next,

    z(S,A) <- z(S,A) + 1     (accumulating)         or         z(S,A) <- 1     (replacing)
    delta = R + gamma Q(S',A') - Q(S,A)
    Q(s,a) <- Q(s,a) + alpha delta z(s,a)       and then        z(s,a) <- gamma lambda z(s,a)      for all s, a

and at the start of an episode z = 0. A' is chosen before this update and is known here one step later; until then the
step waits in the state, so the tables that choose actions are, one by one, the book's.

Beyond the book: several environments have a trace each, share the table and their changes are added up; where a time
limit cuts an episode, Q(S',A') is the expectation over the policy; the step size may fall with the visits to (s,a).
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
from bellmax.maths.exploration import EpsilonGreedy, Exploration, expected, greedy
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import Unit


class Waiting(NamedTuple):
    """The last step of every environment, until its next action is known; each array is [env]."""

    cells: tuple[Array, ...]  # where S and A stand in the table
    reward: Array
    discount: Array
    weight: Array  # 0 where nothing waits


class State(NamedTuple):
    """What has been learned, and what waits to be learned from."""

    q: Array  # [*observation, actions]
    count: Array  # type: ignore[assignment]  # how often each action was taken, the same shape
    steps: Array  # environment steps seen: the clock of the schedules
    trace: Array  # z, [env, *observation, actions]
    waiting: Waiting


class SARSALambda(Algorithm):
    """On-policy control with eligibility traces."""

    experience: Steps = Steps(1)  # steps of every environment between two updates
    lambda_: Unit = 0.9  # how slowly a trace fades; 0 is SARSA, 1 is Monte Carlo
    traces: Literal["accumulating", "replacing"] = "replacing"  # what a visit does to the trace
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 0.1  # alpha
    decay: Unit = 0.0  # omega: the step size is alpha / n^omega after n visits, 0 keeps it constant
    exploration: Exploration = EpsilonGreedy(0.1)  # how actions are chosen while learning
    initial: float = 0.0  # Q at first; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        shape, nothing = tables.shape_of(spec), (jnp.zeros(spec.num_envs) for _ in range(3))
        waiting = Waiting(tuple(jnp.zeros(spec.num_envs, jnp.int32) for _ in shape), *nothing)
        q, trace = jnp.full(shape, self.initial, jnp.float32), jnp.zeros((spec.num_envs, *shape))
        return State(q, jnp.zeros(shape), jnp.zeros(()), trace, waiting)

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q, count = (table[tables.index(obs)] for table in (state.q, state.count))
        return Decision(choose(self.exploration.probabilities(q, count, state.steps, tables.legal_of(obs)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.q[tables.index(obs)], tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        state, (td_error, learned) = jax.lax.scan(self.step, state, batch)
        metrics = {"td_error": jnp.abs(td_error), "reward": batch.reward}
        weights = {"td_error": learned, "reward": batch.weight}
        return state, {name: weighted_mean(x, weights[name]) for name, x in metrics.items()}

    def step(self, state: State, now: Transition) -> tuple[State, tuple[Array, Array]]:
        """One step of every environment, [env] -> state, TD errors and their weights [2, env]."""
        here = Waiting(tables.cells(now.obs, now.action), now.reward, now.discount, now.weight)
        known = state.waiting._replace(weight=state.waiting.weight * now.weight)
        state, error = self.learn(state, known, state.q[here.cells])
        state = self.visit(state, here)
        over = here._replace(weight=now.weight * now.last)
        state, last_error = self.learn(state, over, self.expected_value(state, now.next_obs))
        waiting = here._replace(weight=now.weight * (1 - now.last))
        waiting = jax.tree.map(lambda new, old: jnp.where(now.weight > 0, new, old), waiting, state.waiting)
        trace = jax.vmap(lambda end, trace: jnp.where(end > 0, 0, trace))(over.weight, state.trace)
        errors = jnp.stack([error, last_error]), jnp.stack([known.weight, over.weight])
        return state._replace(trace=trace, waiting=waiting), errors

    def visit(self, state: State, here: Waiting) -> State:
        """Mark where the environments are."""
        marked = state.trace.at[(jnp.arange(len(here.weight)), *here.cells)]
        trace = marked.add(here.weight) if self.traces == "accumulating" else marked.max(here.weight)
        count = state.count.at[here.cells].add(here.weight)
        return state._replace(count=count, steps=state.steps + here.weight.sum(), trace=trace)

    def learn(self, state: State, step: Waiting, next_value: Array) -> tuple[State, Array]:
        """The update of the book for every environment that has weight -> state, TD errors [env]."""
        td_error = step.reward + self.gamma * step.discount * next_value - state.q[step.cells]
        step_size = at(self.learning_rate, state.steps) / jnp.maximum(state.count, 1) ** self.decay
        q = state.q + step_size * jnp.tensordot(step.weight * td_error, state.trace, 1)
        fading = jnp.where(step.weight > 0, self.gamma * self.lambda_ * step.discount, 1)
        return state._replace(q=q, trace=jax.vmap(jnp.multiply)(fading, state.trace)), td_error

    def expected_value(self, state: State, obs: Any) -> Array:
        """What the policy expects of its next action, [env]."""
        q, count = tables.rows(state.q, obs), tables.rows(state.count, obs)
        return expected(self.exploration, q, count, state.steps, tables.legal_of(obs))
