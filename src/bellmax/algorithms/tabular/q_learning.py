"""Q-learning (Watkins & Dayan, 1992), https://doi.org/10.1007/BF00992698; Sutton & Barto, section 6.5.

After every step, whatever chose the action,

    Q(S,A) <- Q(S,A) + alpha [ R + gamma max_a Q(S',a) - Q(S,A) ]                                  (eq. 6.8)

Beyond the book: several environments share the table and their changes are added up as far as they do not overshoot;
any experience will do, so `QLearning(experience=Replay(...))` replays; the step size may fall with the visits; ties
are broken at random.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Experience, Steps
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


class QLearning(Algorithm):
    """One-step off-policy control with a table."""

    experience: Experience = Steps(1)  # steps of every environment between two updates
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 0.1  # alpha
    decay: Unit = 0.0  # omega: the step size is alpha / n^omega after n visits, 0 keeps it constant
    exploration: Exploration = EpsilonGreedy(0.1)  # how actions are chosen while learning
    initial: float = 0.0  # Q at first; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        shape = tables.shape_of(spec)
        return State(jnp.full(shape, self.initial, jnp.float32), jnp.zeros(shape), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q, count = (table[tables.index(obs)] for table in (state.q, state.count))
        return Decision(choose(self.exploration.probabilities(q, count, state.steps, tables.legal_of(obs)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.q[tables.index(obs)], tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        batch = tables.each(batch)
        cells = tables.cells(batch.obs, batch.action)
        count = state.count.at[cells].add(batch.weight)
        next_value = best(tables.rows(state.q, batch.next_obs), tables.legal_of(batch.next_obs))
        td_error = batch.reward + self.gamma * batch.discount * next_value - state.q[cells]
        step_size = at(self.learning_rate, state.steps) / jnp.maximum(count[cells], 1) ** self.decay
        q = state.q.at[cells].add(tables.together(cells, batch.weight * step_size) * td_error)
        metrics = {"td_error": weighted_mean(jnp.abs(td_error), batch.weight)}
        return State(q, count, state.steps + batch.weight.sum()), metrics
