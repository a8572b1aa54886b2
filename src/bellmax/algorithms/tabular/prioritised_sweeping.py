"""Prioritised sweeping (Moore & Atkeson, 1993; Peng & Williams, 1993), https://doi.org/10.1007/BF00993104.

Sutton & Barto, section 8.4. After every real step, remember what happened, then learn from memory alone, beginning
where most is to be learned and going on to what leads there:

    Model(S,A) <- R, S'
    P <- | R + gamma max_a Q(S',a) - Q(S,A) |;  if P > theta, insert S,A into the queue with priority P
    n times, while the queue is not empty:
        S,A <- first of the queue;  R, S' <- Model(S,A)
        Q(S,A) <- Q(S,A) + alpha [ R + gamma max_a Q(S',a) - Q(S,A) ]
        for all S-,A- predicted to lead to S, with reward R-:
            P <- | R- + gamma max_a Q(S,a) - Q(S-,A-) |;  if P > theta, insert S-,A- with priority P

The queue is a table of priorities, and a table of successors says what leads where: an update looks through both,
which costs as many comparisons as there are states times actions; for thousands of pairs that is microseconds.

Beyond the book: the model remembers terminations, and which actions were legal; several environments share table and
model, with n updates for each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Steps
from bellmax.maths import tables
from bellmax.maths.chance import choose
from bellmax.maths.exploration import EpsilonGreedy, Exploration, best, greedy
from bellmax.maths.recollection import Recollection, nothing, remember
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import Count, NonNegative, Unit


class State(NamedTuple):
    """What has been learned."""

    q: Array  # [*observation, actions]
    count: Array  # type: ignore[assignment]  # how often each action was really taken, the same shape
    model: Recollection
    priority: Array  # the queue: how much there is to learn, the same shape as q; 0 is not in the queue
    steps: Array  # environment steps learned from: the clock of the schedules


class PrioritisedSweeping(Algorithm):
    """Learning from what is remembered, the most surprising first and backwards from there."""

    experience: Steps = Steps(1)  # steps of every environment between two updates
    planning_steps: Count = 10  # n: updates from memory for every real step, at most
    theta: NonNegative = 1e-4  # what there is to learn must be more to be worth an update
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 0.5  # alpha
    exploration: Exploration = EpsilonGreedy(0.1)  # how actions are chosen while learning
    initial: float = 0.0  # Q at first; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        shape = tables.shape_of(spec)
        q = jnp.full(shape, self.initial, jnp.float32)
        return State(q, jnp.zeros(shape), nothing(shape), jnp.zeros(shape), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q, count = (table[tables.index(obs)] for table in (state.q, state.count))
        return Decision(choose(self.exploration.probabilities(q, count, state.steps, tables.legal_of(obs)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.q[tables.index(obs)], tables.legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        batch, alpha, shape = tables.each(batch), at(self.learning_rate, state.steps), state.q.shape
        cells = tables.cells(batch.obs, batch.action)
        next_value = best(tables.rows(state.q, batch.next_obs), tables.legal_of(batch.next_obs))
        td_error = jnp.abs(batch.reward + self.gamma * batch.discount * next_value - state.q[cells])
        priority = state.priority.at[cells].max(jnp.where(batch.weight > 0, self.worth(td_error), 0))
        model = remember(state.model, batch, shape)
        most = self.planning_steps * (batch.weight > 0).sum()
        flat = (state.q.reshape(-1, shape[-1]), priority.reshape(-1, shape[-1]))
        q, priority, backups = self.sweep(*flat, model, alpha, most)
        metrics = {"td_error": weighted_mean(td_error, batch.weight), "backups": backups}
        count, steps = state.count.at[cells].add(batch.weight), state.steps + batch.weight.sum()
        return State(q.reshape(shape), count, model, priority.reshape(shape), steps), metrics

    def worth(self, td_error: Array) -> Array:
        """The priority of an error: its size, or 0 if it is not above theta."""
        return jnp.where(td_error > self.theta, td_error, 0)

    def sweep(
        self, q: Array, priority: Array, model: Recollection, alpha: Array | float, most: Array
    ) -> tuple[Array, Array, Array]:
        """At most so many updates; q, priority: [states, actions] -> q, priority, and how many there were."""

        def go_on(carry: tuple[Array, Array, Array]) -> Array:
            _, priority, backups = carry
            return (backups < most) & (priority.max() > 0)

        def back_up(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            q, priority, backups = carry
            state, action = jnp.unravel_index(jnp.argmax(priority), priority.shape)
            priority = priority.at[state, action].set(0)
            successor = model.successor[state, action]
            next_value = best(q[successor], model.legal[successor])
            target = model.reward[state, action] + self.gamma * model.discount[state, action] * next_value
            q = q.at[state, action].add(alpha * (target - q[state, action]))
            value = best(q[state], model.legal[state])
            td_error = jnp.abs(model.reward + self.gamma * model.discount * value - q)  # right for what leads to S
            leads_here = model.tried & (model.successor == state)
            return q, jnp.where(leads_here, jnp.maximum(priority, self.worth(td_error)), priority), backups + 1

        return jax.lax.while_loop(go_on, back_up, (q, priority, jnp.int32(0)))
