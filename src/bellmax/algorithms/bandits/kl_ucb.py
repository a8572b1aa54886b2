"""KL-UCB (Garivier & Cappe, 2011), https://arxiv.org/abs/1102.2490, algorithm 1. At pull t

    A = argmax_a max{ q : N(a) d(mean_a, q) <= ln t + c ln ln t },      arms never pulled first

    d(p, q) = p ln(p/q) + (1 - p) ln((1 - p)/(1 - q)),   the divergence of a coin p from a coin q

for rewards from [0, 1]; on coins no learner's regret grows more slowly (Lai & Robbins, 1985).

Beyond the paper: c is 0, as it recommends for practice; the largest q is found by Newton's method; environments that
choose together use the same bounds; ties are broken at random.
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


class KLUCB(Algorithm):
    """The arm that may be best, by the tightest bound there is for coins."""

    experience: Steps = Steps(1)  # pulls of every environment between two updates
    c: NonNegative = 0.0  # weight of ln ln t; the proof wants 3

    def init(self, key: Array, spec: Spec) -> State:
        arms = tables.shape_of(spec._replace(obs=Discrete(1)))[1:]  # one state, whatever is seen
        return State(jnp.zeros(arms), jnp.zeros(arms))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(self.bound(state)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.q), key))

    def bound(self, state: State) -> Array:
        """What an arm may well be worth, [arms]; infinite for those never pulled."""
        log_t = jnp.log(state.count.sum() + 1)
        allowed = log_t + self.c * jnp.log(jnp.maximum(log_t, 1))
        bound = furthest(state.q.clip(0, 1), allowed / jnp.maximum(state.count, 1))
        return jnp.where(state.count > 0, bound, jnp.inf)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        state, _ = jax.lax.scan(self.pull, state, tables.each(batch))
        return state, {"reward": weighted_mean(batch.reward, batch.weight)}

    def pull(self, state: State, one: Transition) -> tuple[State, None]:
        """Learn from one pull."""
        pulled = one.weight * jax.nn.one_hot(one.action, state.q.shape[0])
        count = state.count + pulled
        return State(state.q + pulled / jnp.maximum(count, 1) * (one.reward - state.q), count), None


def furthest(p: Array, allowed: Array) -> Array:
    """The largest q with d(p, q) <= `allowed`, for p in [0, 1]; element by element, to about 1e-6.

    Over u = -ln(1 - q) the divergence is convex, and straight far out: Newton's method, begun above the solution, comes
    down to it without passing it. Two starts lie above: Pinsker's d >= 2 (q - p)^2, and d >= (1 - p) u - H(p), H the
    coin's entropy in nats. The slope of d over u is (q - p) / q.
    """
    p = p.clip(1e-9, 1 - 1e-6)
    entropy = -(p * jnp.log(p) + (1 - p) * jnp.log1p(-p))
    far_out, pinsker = (allowed + entropy) / (1 - p), p + jnp.sqrt(allowed / 2)
    start = jnp.where(pinsker < 1, jnp.minimum(-jnp.log1p(-jnp.minimum(pinsker, 1 - 1e-6)), far_out), far_out)

    def newton(_: int, u: Array) -> Array:
        q = 1 - jnp.exp(-u)
        too_far = (1 - p) * u - p * jnp.log(q) - entropy - allowed
        return jnp.maximum(u - too_far * q / jnp.maximum(q - p, 1e-7), -jnp.log1p(-p))

    return 1 - jnp.exp(-jax.lax.fori_loop(0, 6, newton, start))
