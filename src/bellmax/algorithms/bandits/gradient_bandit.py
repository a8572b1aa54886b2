"""Gradient bandit (Sutton & Barto, 2018), section 2.8, https://mitpress.mit.edu/9780262039246/.

Arms are drawn with probabilities pi = softmax(H) of their preferences H. After a pull of A that paid R

    H(A) <- H(A) + alpha (R - average) (1 - pi(A)),
    H(a) <- H(a) - alpha (R - average) pi(a)          for every other a                               (eq. 2.12)

The baseline is the average of the rewards before this one (the first is its own); the book's experiments, says its
footnote, count R itself too, and so does this file unless `inclusive` is off. Without `baseline` it is 0.

It is REINFORCE (Williams, 1992, https://doi.org/10.1007/BF00992696) on one state.

Beyond the book: where several environments pull at once, their changes, all from the pi they were drawn with, are added
up, and the average moves from one to the next.
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
from bellmax.maths.exploration import greedy
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import Positive
from bellmax.spaces import Discrete


class State(NamedTuple):
    """What has been learned."""

    preference: Array  # [arms], H
    average: Array  # of all rewards
    count: Array  # type: ignore[assignment]  # of all pulls


class GradientBandit(Algorithm):
    """Arms that paid more than usual are drawn more often: policy gradient with one state."""

    experience: Steps = Steps(1)  # pulls of every environment between two updates
    step_size: Positive = 0.1  # alpha
    baseline: bool = True  # compare a reward with the average
    inclusive: bool = True  # the reward is in its own average, as in the book's figures; off is eq. 2.12

    def init(self, key: Array, spec: Spec) -> State:
        arms = tables.shape_of(spec._replace(obs=Discrete(1)))[1:]  # one state, whatever is seen
        return State(jnp.zeros(arms), jnp.zeros(()), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(jax.nn.softmax(state.preference), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.preference), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        policy = jax.nn.softmax(state.preference)

        def pull(state: State, one: Transition) -> tuple[State, None]:
            count = state.count + one.weight
            average = state.average + one.weight / jnp.maximum(count, 1) * (one.reward - state.average)
            before = jnp.where(state.count > 0, state.average, one.reward)
            compared = one.reward - self.baseline * (average if self.inclusive else before)
            change = one.weight * compared * (jax.nn.one_hot(one.action, policy.shape[0]) - policy)
            return State(state.preference + self.step_size * change, average, count), None

        state, _ = jax.lax.scan(pull, state, tables.each(batch))
        return state, {"reward": weighted_mean(batch.reward, batch.weight)}
