"""Double Q-learning (van Hasselt, 2010), https://papers.nips.cc/paper/3964-double-q-learning; Sutton & Barto, 6.7.

There are two tables. After every step a coin says which one learns; it names the best action, the other values it:

    Q1(S,A) <- Q1(S,A) + alpha [ R + gamma Q2(S', argmax_a Q1(S',a)) - Q1(S,A) ]                   (eq. 6.10)

or the same with 1 and 2 exchanged. Actions are chosen by both tables together.

Beyond the book: they are chosen by the mean of the tables, which is as greedy as their sum and has the scale of the
values; best actions that tie share the value evenly; several environments share the tables, toss a coin each, and
their changes are added up as far as they do not overshoot; any experience will do; the step size may fall with the
updates of the table that learns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Experience, Steps
from bellmax.maths import tables
from bellmax.maths.chance import choose, uniform
from bellmax.maths.exploration import EpsilonGreedy, Exploration, greedy
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import Unit


class State(NamedTuple):
    """What has been learned."""

    q: Array  # [2, *observation, actions]
    count: Array  # type: ignore[assignment]  # how often each value was moved, the same shape
    steps: Array  # environment steps learned from: the clock of the schedules


class DoubleQLearning(Algorithm):
    """Q-learning without the bias of a maximum over estimates."""

    experience: Experience = Steps(1)  # steps of every environment between two updates
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 0.1  # alpha
    decay: Unit = 0.0  # omega: the step size is alpha / n^omega after n updates, 0 keeps it constant
    exploration: Exploration = EpsilonGreedy(0.1)  # how actions are chosen while learning
    initial: float = 0.0  # both tables at first; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        shape = (2, *tables.shape_of(spec))
        return State(jnp.full(shape, self.initial, jnp.float32), jnp.zeros(shape), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        both = (slice(None), *tables.index(obs))
        q, count = state.q[both].mean(0), state.count[both].sum(0)
        return Decision(choose(self.exploration.probabilities(q, count, state.steps, tables.legal_of(obs)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        both = (slice(None), *tables.index(obs))
        return Decision(choose(greedy(state.q[both].mean(0), tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        batch = tables.each(batch)
        coin = (uniform(key, batch.reward.shape) < 0.5).astype(jnp.int32)
        cells = (coin, *tables.cells(batch.obs, batch.action))
        count = state.count.at[cells].add(batch.weight)
        next_q = jax.vmap(tables.rows, (0, None), 1)(state.q, batch.next_obs)  # [n, 2, actions]
        next_value = jax.vmap(evaluated)(next_q, coin, tables.legal_of(batch.next_obs))
        td_error = batch.reward + self.gamma * batch.discount * next_value - state.q[cells]
        step_size = at(self.learning_rate, state.steps) / jnp.maximum(count[cells], 1) ** self.decay
        q = state.q.at[cells].add(tables.together(cells, batch.weight * step_size) * td_error)
        metrics = {"td_error": weighted_mean(jnp.abs(td_error), batch.weight)}
        return State(q, count, state.steps + batch.weight.sum()), metrics


def evaluated(q: Array, chooser: Array, legal: Array | None) -> Array:
    """The best action by `q[chooser]`, valued by the other row -> a number; q: [2, actions]."""
    return (greedy(q[chooser], legal) * q[1 - chooser]).sum()
