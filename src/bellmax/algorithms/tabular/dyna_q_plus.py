"""Dyna-Q+ (Sutton, 1990), https://doi.org/10.1016/B978-1-55860-141-3.50030-4; Sutton & Barto, section 8.3.

Dyna-Q for a world that may change: what was not tried for tau time steps is imagined to pay more than the model says,

    n times: S a random state seen before, A any action, R, S' <- Model(S,A), and
    Q(S,A) <- Q(S,A) + alpha [ R + kappa sqrt(tau(S,A)) + gamma max_a Q(S',a) - Q(S,A) ]

An action never tried is one that leads back to S and pays 0, untried since the beginning (footnote 1). Real steps are
learned from without bonus.

Beyond the book: the model remembers terminations, and which actions were legal; several environments share table and
model: the changes of their real steps are added up as far as they do not overshoot, then n updates are made for each,
and tau counts the steps of all.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Steps
from bellmax.maths import tables
from bellmax.maths.chance import choose, invert, uniform
from bellmax.maths.exploration import EpsilonGreedy, Exploration, best, evenly, greedy
from bellmax.maths.recollection import Recollection, nothing, remember
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import NonNegative, Range, Unit


class State(NamedTuple):
    """What has been learned."""

    q: Array  # [*observation, actions]
    count: Array  # type: ignore[assignment]  # how often each action was really taken, the same shape
    tried_at: Array  # the time step of the last time, the same shape; 0 if there was none
    model: Recollection
    steps: Array  # environment steps learned from: the clock of the schedules


class DynaQPlus(Algorithm):
    """Q-learning that also learns from what it remembers, and doubts what it has not tried for long."""

    experience: Steps = Steps(1)  # steps of every environment between two updates
    planning_steps: Annotated[int, Range(0)] = 10  # n: updates from memory for every real step
    kappa: NonNegative = 1e-3  # what is imagined to be paid for having waited one step, growing with the root
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 0.1  # alpha
    exploration: Exploration = EpsilonGreedy(0.1)  # how actions are chosen while learning
    initial: float = 0.0  # Q at first; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        shape = tables.shape_of(spec)
        q = jnp.full(shape, self.initial, jnp.float32)
        return State(q, jnp.zeros(shape), jnp.zeros(shape), nothing(shape), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q, count = (table[tables.index(obs)] for table in (state.q, state.count))
        return Decision(choose(self.exploration.probabilities(q, count, state.steps, tables.legal_of(obs)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.q[tables.index(obs)], tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        batch, alpha, shape = tables.each(batch), at(self.learning_rate, state.steps), state.q.shape
        cells = tables.cells(batch.obs, batch.action)
        next_value = best(tables.rows(state.q, batch.next_obs), tables.legal_of(batch.next_obs))
        td_error = batch.reward + self.gamma * batch.discount * next_value - state.q[cells]
        q = state.q.at[cells].add(tables.together(cells, batch.weight * alpha) * td_error)
        model = remember(state.model, batch, shape)
        steps = state.steps + batch.weight.sum()
        tried_at = state.tried_at.at[cells].max(jnp.where(batch.weight > 0, steps, 0))
        bonus = self.kappa * jnp.sqrt(steps - tried_at)
        table = (-1, shape[-1])
        q, surprise = self.plan(q.reshape(table), model, bonus.reshape(table), alpha, batch.weight, key)
        metrics = {"td_error": weighted_mean(jnp.abs(td_error), batch.weight), "planning_error": surprise}
        return State(q.reshape(shape), state.count.at[cells].add(batch.weight), tried_at, model, steps), metrics

    def plan(
        self, q: Array, model: Recollection, bonus: Array, alpha: Array | float, weight: Array, key: Array
    ) -> tuple[Array, Array]:
        """n updates from memory for each real step; q, bonus: [states, actions], weight: [n] -> q, mean |TD error|."""

        def imagine(q: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
            (which, what), weight = now
            place = jnp.minimum((which * model.visits).astype(jnp.int32), model.visits - 1)
            state = model.visited[place]
            action = invert(evenly(q[state], model.legal[state]), what)
            successor = model.successor[state, action]
            next_value = best(q[successor], model.legal[successor])
            target = model.reward[state, action] + self.gamma * model.discount[state, action] * next_value
            td_error = target + bonus[state, action] - q[state, action]
            return q.at[state, action].add((weight > 0) * alpha * td_error), td_error

        numbers = uniform(key, (weight.size * self.planning_steps, 2))
        weight = jnp.repeat(weight, self.planning_steps)
        q, td_error = jax.lax.scan(imagine, q, (numbers, weight))
        return q, weighted_mean(jnp.abs(td_error), weight)
