"""Thompson sampling for coins (Thompson, 1933); as in Agrawal & Goyal, 2012, https://arxiv.org/abs/1111.1797:

    draw theta_a ~ Beta(S_a + 1, F_a + 1) for every arm, and pull argmax_a theta_a                   (algorithm 1)

S and F being the successes and failures so far: an arm is pulled as often as it is believed to be the best. Rewards
from [0, 1] that are not 0 or 1 are tossed into a success with that probability (algorithm 2).

Beyond the paper: the prior may be another Beta; environments that choose together draw from the same beliefs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Steps
from bellmax.maths import tables
from bellmax.maths.chance import choose, uniform
from bellmax.maths.exploration import greedy
from bellmax.maths.statistics import weighted_mean
from bellmax.ranges import Positive
from bellmax.spaces import Discrete


class State(NamedTuple):
    """The belief: a Beta distribution an arm, the prior counted in."""

    successes: Array  # [arms]
    failures: Array  # [arms]


class ThompsonSampling(Algorithm):
    """The arm that is best in a world drawn from what is believed."""

    experience: Steps = Steps(1)  # pulls of every environment between two updates
    prior_successes: Positive = 1.0  # Beta's first number; 1 and 1 believe anything, 0.5 and 0.5 are Jeffreys'
    prior_failures: Positive = 1.0  # Beta's second number

    def init(self, key: Array, spec: Spec) -> State:
        arms = tables.shape_of(spec._replace(obs=Discrete(1)))[1:]  # one state, whatever is seen
        return State(jnp.full(arms, self.prior_successes), jnp.full(arms, self.prior_failures))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        log_gamma = log_gammas(jnp.stack(state), key)  # Beta(a, b) is x / (x + y), x ~ Gamma(a) and y ~ Gamma(b):
        return Decision(jnp.argmax(log_gamma[0] - log_gamma[1]).astype(jnp.int32))  # the largest has the largest x / y

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.successes / (state.successes + state.failures)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        rows = tables.each(batch)
        pulled = rows.weight[:, None] * jax.nn.one_hot(rows.action, state.successes.shape[0])
        success = (uniform(key, rows.reward.shape) < rows.reward)[:, None]
        successes = state.successes + jnp.where(success, pulled, 0).sum(0)
        failures = state.failures + jnp.where(success, 0, pulled).sum(0)
        return State(successes, failures), {"reward": weighted_mean(batch.reward, batch.weight)}


def log_gammas(shape: Array, key: Array) -> Array:
    """Logarithms of draws from Gamma(shape, 1), of the same shape; exact, and much faster than `jax.random.loggamma`.

    Marsaglia & Tsang, A Simple Method for Generating Gamma Variables, 2000. All elements are proposed at once and those
    that were refused, one in twenty or fewer, once more. Below 1 a draw for shape + 1 is multiplied by U^(1 / shape).
    """
    small = shape < 1
    d = jnp.where(small, shape + 1, shape) - 1 / 3

    def propose(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        turn, found, drawn = carry
        first, second = uniform(jax.random.fold_in(key, turn), (2, *shape.shape))
        normal = jnp.sqrt(2.0) * jax.lax.erf_inv(2 * first - (1 - 2**-24))
        root = jnp.maximum(1 + normal / jnp.sqrt(9 * d), 1e-30)  # of v, the third; 0 and below are refused
        log_v = 3 * jnp.log(root)
        accept = jnp.log(second) < normal**2 / 2 + d * (1 - root**3 + log_v)
        return turn + 1, found | accept, jnp.where(found, drawn, jnp.log(d) + log_v)

    start = jnp.int32(0), jnp.zeros(shape.shape, bool), jnp.zeros(shape.shape)
    turns, _, drawn = jax.lax.while_loop(lambda carry: ~carry[1].all(), propose, start)
    boost = jnp.log(1 - uniform(jax.random.fold_in(key, turns), shape.shape)) / shape
    return jnp.where(small, drawn + boost, drawn)
