"""UCB-tuned (Auer, Cesa-Bianchi & Fischer, 2002), https://doi.org/10.1023/A:1013689704352, section 4.

UCB1 with the variance that was seen in place of the largest that rewards from [0, 1] can have. After n pulls, pull

    argmax_j [ mean_j + sqrt( ln n / n_j  min(1/4, V_j(n_j)) ) ],     arms never pulled first

    V_j(s) = (mean of the squares - square of the mean of arm j's s rewards) + sqrt(2 ln n / s)

Beyond the paper: environments that choose together use the same bounds; ties are broken at random.
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
from bellmax.spaces import Discrete


class State(NamedTuple):
    """What has been learned."""

    q: Array  # [arms], the average that an arm paid
    variance: Array  # [arms], of what it paid
    count: Array  # type: ignore[assignment]  # [arms], how often it was pulled


class UCBTuned(Algorithm):
    """The arm that may be best, as far as is known; what varies little is known sooner."""

    experience: Steps = Steps(1)  # pulls of every environment between two updates

    def init(self, key: Array, spec: Spec) -> State:
        arms = tables.shape_of(spec._replace(obs=Discrete(1)))[1:]  # one state, whatever is seen
        return State(jnp.zeros(arms), jnp.zeros(arms), jnp.zeros(arms))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(self.bound(state)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.q), key))

    def bound(self, state: State) -> Array:
        """What an arm may well be worth, [arms]; infinite for those never pulled."""
        share = jnp.log(jnp.maximum(state.count.sum(), 1)) / jnp.maximum(state.count, 1)  # ln n / n_j
        width = jnp.sqrt(share * jnp.minimum(0.25, state.variance + jnp.sqrt(2 * share)))
        return jnp.where(state.count > 0, state.q + width, jnp.inf)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        state, _ = jax.lax.scan(self.pull, state, tables.each(batch))
        return state, {"reward": weighted_mean(batch.reward, batch.weight)}

    def pull(self, state: State, one: Transition) -> tuple[State, None]:
        """Learn from one pull: Welford's update of mean and variance, which does not cancel."""
        pulled = one.weight * jax.nn.one_hot(one.action, state.q.shape[0])
        count = state.count + pulled
        share = pulled / jnp.maximum(count, 1)
        q = state.q + share * (one.reward - state.q)
        variance = state.variance + share * ((one.reward - state.q) * (one.reward - q) - state.variance)
        return State(q, variance, count), None
