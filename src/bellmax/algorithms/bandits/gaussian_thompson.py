"""Thompson sampling with Gaussian beliefs (Thompson, 1933); a tutorial is Russo et al., 2018,
https://arxiv.org/abs/1707.02038. Rewards are taken for N(theta_a, sigma^2) with sigma known, and theta_a for
N(m, s^2) at first; after N pulls of arm a that paid R_1 .. R_N the belief is N(mu_a, 1 / precision_a),

    precision_a = 1/s^2 + N/sigma^2,      mu_a = (m/s^2 + sum R/sigma^2) / precision_a

    draw theta_a ~ N(mu_a, 1 / precision_a) for every arm, and pull argmax_a theta_a

Beyond the paper: environments that choose together draw from the same beliefs.
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
    """The belief: a normal distribution an arm."""

    mean: Array  # [arms], mu
    precision: Array  # [arms], 1 / variance


class GaussianThompson(Algorithm):
    """The arm that is best in a world drawn from what is believed, for rewards with Gaussian noise."""

    experience: Steps = Steps(1)  # pulls of every environment between two updates
    noise: Positive = 1.0  # sigma, the standard deviation of what an arm pays
    prior_mean: float = 0.0  # m, what an arm is expected to pay before it is pulled
    prior_spread: Positive = 1.0  # s, how far off that may be: a standard deviation

    def init(self, key: Array, spec: Spec) -> State:
        arms = tables.shape_of(spec._replace(obs=Discrete(1)))[1:]  # one state, whatever is seen
        return State(jnp.full(arms, self.prior_mean), jnp.full(arms, 1 / jnp.square(self.prior_spread)))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        theta = state.mean + jax.random.normal(key, state.mean.shape) / jnp.sqrt(state.precision)
        return Decision(jnp.argmax(theta).astype(jnp.int32))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.mean), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        rows = tables.each(batch)
        gain = rows.weight[:, None] * jax.nn.one_hot(rows.action, state.mean.shape[0]) / jnp.square(self.noise)
        precision = state.precision + gain.sum(0)
        mean = state.mean + (gain * (rows.reward[:, None] - state.mean)).sum(0) / precision
        return State(mean, precision), {"reward": weighted_mean(batch.reward, batch.weight)}
