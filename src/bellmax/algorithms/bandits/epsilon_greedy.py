"""Epsilon-greedy bandit (Sutton & Barto, 2018), sections 2.2 to 2.6,
https://mitpress.mit.edu/9780262039246/. Its simple bandit algorithm, section 2.4: pull

    A = argmax_a Q(a)  with probability 1 - epsilon, ties broken at random,  else any arm at all

and move the estimate of the arm that was pulled towards what it paid,

    N(A) <- N(A) + 1,      Q(A) <- Q(A) + 1/N(A) [ R - Q(A) ]                                        (eq. 2.3)

With a `step_size` alpha the factor is alpha instead of 1/N (eq. 2.5): the present counts more, for arms that change.
An `initial` estimate above all that can be expected is an optimistic start (section 2.6): every arm disappoints, so
every arm is tried. A sample average forgets it at the first pull, as in the book, unless `initial_count` pulls are
counted as having paid it.

Beyond the book: pulls of several environments are learned from one after the other; epsilon may follow a schedule,
and may fall with the pulls t as min(1, epsilon / t^decay): decay 1 is epsilon_n-greedy (Auer et al., 2002,
https://doi.org/10.1023/A:1013689704352), whose regret grows like log t.
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
from bellmax.maths.exploration import EpsilonGreedy, greedy
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import NonNegative, Unit
from bellmax.spaces import Discrete


class State(NamedTuple):
    """What has been learned."""

    q: Array  # [arms], what an arm is believed to pay
    count: Array  # type: ignore[assignment]  # [arms], how often it was pulled


class EpsilonGreedyBandit(Algorithm):
    """The arm that paid best, but now and then any arm at all."""

    experience: Steps = Steps(1)  # pulls of every environment between two updates
    epsilon: Scheduled = 0.1  # probability of an arm drawn evenly
    decay: NonNegative = 0.0  # epsilon is divided by t^decay at pull t, 0 keeps it as it is
    step_size: Unit = 0.0  # alpha; 0 takes the average of all that was paid
    initial: float = 0.0  # Q at first; high makes the learner try every arm
    initial_count: NonNegative = 0.0  # pulls that count as having paid `initial`, in an average

    def init(self, key: Array, spec: Spec) -> State:
        arms = tables.shape_of(spec._replace(obs=Discrete(1)))[1:]  # one state, whatever is seen
        return State(jnp.full(arms, self.initial, jnp.float32), jnp.zeros(arms))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        pulls = state.count.sum()
        epsilon = jnp.minimum(1.0, at(self.epsilon, pulls) / (pulls + 1) ** self.decay)
        exploration = EpsilonGreedy(epsilon)  # type: ignore[arg-type]
        return Decision(choose(exploration.probabilities(state.q, state.count, pulls), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.q), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        state, _ = jax.lax.scan(self.pull, state, tables.each(batch))
        return state, {"reward": weighted_mean(batch.reward, batch.weight)}

    def pull(self, state: State, one: Transition) -> tuple[State, None]:
        """Learn from one pull."""
        pulled = one.weight * jax.nn.one_hot(one.action, state.q.shape[0])
        count = state.count + pulled
        average = 1 / jnp.maximum(count + self.initial_count, 1e-8)
        step_size = jnp.where(self.step_size > 0, self.step_size, average)
        return State(state.q + pulled * step_size * (one.reward - state.q), count), None
