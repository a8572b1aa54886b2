"""n-step SARSA (Sutton & Barto, 2018), section 7.2, https://mitpress.mit.edu/9780262039246/.

n steps after the action A of state S, where S^n and A^n have been reached,

    G = R + gamma R' + ... + gamma^(n-1) R^n + gamma^n Q(S^n, A^n)                                  (eq. 7.4)
    Q(S,A) <- Q(S,A) + alpha [ G - Q(S,A) ]                                                         (eq. 7.5)

with the rewards alone where the episode is over before. A^n is chosen before this update and is known here one step
later; until then n steps wait in the state, so the tables that choose actions are, one by one, the book's.

Beyond the book: several environments share the table and their changes are added up as far as they do not overshoot;
where a time limit cuts an episode, Q(S^n, A^n) is the expectation over the policy; the step size may fall with the
visits.
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
from bellmax.ranges import Count, Unit


class Waiting(NamedTuple):
    """The last n steps of every environment, oldest first; each array is [n, env]."""

    cells: tuple[Array, ...]  # where S and A stand in the table
    target: Array  # rewards since then, discounted: G without its last term
    discount: Array  # of that term
    weight: Array  # 0 where nothing waits


class State(NamedTuple):
    """What has been learned, and what waits to be learned from."""

    q: Array  # [*observation, actions]
    count: Array  # type: ignore[assignment]  # how often each action was taken, the same shape
    steps: Array  # environment steps seen: the clock of the schedules
    waiting: Waiting


class NStepSARSA(Algorithm):
    """On-policy control that looks n rewards ahead."""

    experience: Steps = Steps(1)  # steps of every environment between two updates
    n: Count = 4  # rewards in a target
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 0.1  # alpha
    decay: Unit = 0.0  # omega: the step size is alpha / k^omega after k visits, 0 keeps it constant
    exploration: Exploration = EpsilonGreedy(0.1)  # how actions are chosen while learning
    initial: float = 0.0  # Q at first; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        shape, size = tables.shape_of(spec), (self.n, spec.num_envs)
        waiting = Waiting(tuple(jnp.zeros(size, jnp.int32) for _ in shape), *(jnp.zeros(size) for _ in range(3)))
        return State(jnp.full(shape, self.initial, jnp.float32), jnp.zeros(shape), jnp.zeros(()), waiting)

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
        """One step of every environment, [env] -> state, TD errors and their weights [1 + n, env]."""
        here = tables.cells(now.obs, now.action)
        state, error = self.learn(state, self.ready(jax.tree.map(lambda x: x[0], state.waiting), state.q[here], now))
        state = state._replace(count=state.count.at[here].add(now.weight), steps=state.steps + now.weight.sum())
        waiting = remember(state.waiting, here, self.gamma * now.discount, now)
        over = self.ready(waiting, self.expected_value(state, now.next_obs), now, now.last)
        state, last_errors = jax.lax.scan(self.learn, state, over)
        waiting = waiting._replace(weight=waiting.weight - over.weight)
        return state._replace(waiting=waiting), jax.tree.map(lambda x, y: jnp.vstack([x, y]), error, last_errors)

    def ready(self, waiting: Waiting, next_value: Array, now: Transition, when: Array | bool = True) -> Waiting:
        """The same with `target` complete, and weight only where there is a step now, and `when`."""
        target = waiting.target + waiting.discount * next_value
        return waiting._replace(target=target, weight=waiting.weight * now.weight * when)

    def learn(self, state: State, step: Waiting) -> tuple[State, tuple[Array, Array]]:
        """The update of the book for every environment that has weight -> state, (TD errors, their weights) [env]."""
        td_error = step.target - state.q[step.cells]
        step_size = at(self.learning_rate, state.steps) / jnp.maximum(state.count[step.cells], 1) ** self.decay
        q = state.q.at[step.cells].add(tables.together(step.cells, step.weight * step_size) * td_error)
        return state._replace(q=q), (td_error, step.weight)

    def expected_value(self, state: State, obs: Any) -> Array:
        """What the policy expects of its next action, [env]."""
        q, count = tables.rows(state.q, obs), tables.rows(state.count, obs)
        return expected(self.exploration, q, count, state.steps, tables.legal_of(obs))


def remember(waiting: Waiting, here: tuple[Array, ...], discount: Array, now: Transition) -> Waiting:
    """Let the oldest step go, add the one at `here`, and add the new reward to all that wait."""
    newest = Waiting(here, jnp.zeros_like(discount), jnp.ones_like(discount), now.weight)
    shifted = jax.tree.map(lambda old, new: jnp.concatenate([old[1:], new[None]]), waiting, newest)
    target = shifted.target + shifted.discount * now.reward
    shifted = shifted._replace(target=target, discount=shifted.discount * discount)
    return jax.tree.map(lambda new, old: jnp.where(now.weight > 0, new, old), shifted, waiting)
