"""Upper confidence bounds (Sutton & Barto, 2018), section 2.7, https://mitpress.mit.edu/9780262039246/. At pull t

    A = argmax_a [ Q(a) + c sqrt( ln t / N(a) ) ],      arms never pulled first                       (eq. 2.10)

Q(a) being the average that arm a paid in N(a) pulls. UCB1 (Auer et al., 2002, https://doi.org/10.1023/A:1013689704352)
is c = sqrt 2 on rewards from [0, 1]; there t does not count the pull to come.

Beyond the book: environments that choose together use the same bounds; ties are broken at random.
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
from bellmax.ranges import NonNegative
from bellmax.spaces import Discrete


class State(NamedTuple):
    """What has been learned."""

    q: Array  # [arms], the average that an arm paid
    count: Array  # type: ignore[assignment]  # [arms], how often it was pulled


class UCB(Algorithm):
    """The arm that may be best, as far as is known."""

    experience: Steps = Steps(1)  # pulls of every environment between two updates
    c: NonNegative = 2.0  # how much uncertainty is worth

    def init(self, key: Array, spec: Spec) -> State:
        arms = tables.shape_of(spec._replace(obs=Discrete(1)))[1:]  # one state, whatever is seen
        return State(jnp.zeros(arms), jnp.zeros(arms))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(self.bound(state)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.q), key))

    def bound(self, state: State) -> Array:
        """What an arm may well be worth, [arms]; infinite for those never pulled."""
        t = state.count.sum() + 1
        width = jnp.sqrt(jnp.log(t) / jnp.maximum(state.count, 1))
        return jnp.where(state.count > 0, state.q + self.c * width, jnp.inf)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        state, _ = jax.lax.scan(self.pull, state, tables.each(batch))
        return state, {"reward": weighted_mean(batch.reward, batch.weight)}

    def pull(self, state: State, one: Transition) -> tuple[State, None]:
        """Learn from one pull."""
        pulled = one.weight * jax.nn.one_hot(one.action, state.q.shape[0])
        count = state.count + pulled
        return State(state.q + pulled / jnp.maximum(count, 1) * (one.reward - state.q), count), None
