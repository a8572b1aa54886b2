"""SARSA (Rummery & Niranjan, 1994); Sutton & Barto, section 6.4, https://mitpress.mit.edu/9780262039246/.

After every step, A' being the action that is taken next,

    Q(S,A) <- Q(S,A) + alpha [ R + gamma Q(S',A') - Q(S,A) ]                                       (eq. 6.7)

A' is chosen before this update and is known here one step later; until then the step waits in the state, so the tables
that choose actions are, one by one, the book's.

Beyond the book: several environments share the table and their changes are added up as far as they do not overshoot;
where a time limit cuts an episode no A' is ever taken, and its expectation over the policy stands for it; the step
size may fall with the visits.
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
    waiting: Waiting


class SARSA(Algorithm):
    """One-step on-policy control with a table."""

    experience: Steps = Steps(1)  # steps of every environment between two updates
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 0.1  # alpha
    decay: Unit = 0.0  # omega: the step size is alpha / n^omega after n visits, 0 keeps it constant
    exploration: Exploration = EpsilonGreedy(0.1)  # how actions are chosen while learning
    initial: float = 0.0  # Q at first; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        shape, nothing = tables.shape_of(spec), (jnp.zeros(spec.num_envs) for _ in range(3))
        cells = tuple(jnp.zeros(spec.num_envs, jnp.int32) for _ in shape)
        q = jnp.full(shape, self.initial, jnp.float32)
        return State(q, jnp.zeros(shape), jnp.zeros(()), Waiting(cells, *nothing))

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
        state = state._replace(count=state.count.at[here.cells].add(now.weight), steps=state.steps + now.weight.sum())
        over = here._replace(weight=now.weight * now.last)
        state, last_error = self.learn(state, over, self.expected_value(state, now.next_obs))
        waiting = here._replace(weight=now.weight * (1 - now.last))
        waiting = jax.tree.map(lambda new, old: jnp.where(now.weight > 0, new, old), waiting, state.waiting)
        errors = jnp.stack([error, last_error]), jnp.stack([known.weight, over.weight])
        return state._replace(waiting=waiting), errors

    def learn(self, state: State, step: Waiting, next_value: Array) -> tuple[State, Array]:
        """The update of the book for every environment that has weight -> state, TD errors [env]."""
        td_error = step.reward + self.gamma * step.discount * next_value - state.q[step.cells]
        step_size = at(self.learning_rate, state.steps) / jnp.maximum(state.count[step.cells], 1) ** self.decay
        change = tables.together(step.cells, step.weight * step_size) * td_error
        return state._replace(q=state.q.at[step.cells].add(change)), td_error

    def expected_value(self, state: State, obs: Any) -> Array:
        """What the policy expects of its next action, [env]."""
        q, count = tables.rows(state.q, obs), tables.rows(state.count, obs)
        return expected(self.exploration, q, count, state.steps, tables.legal_of(obs))
