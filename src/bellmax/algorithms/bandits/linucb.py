"""LinUCB with disjoint linear models (Li, Chu, Langford & Schapire, 2010), https://arxiv.org/abs/1003.0146.

Every arm a has a ridge regression of what it paid on the context x, A_a = I + sum x x' and b_a = sum R x. Pull

    argmax_a [ theta_a' x + alpha sqrt( x' A_a^-1 x ) ],      theta_a = A_a^-1 b_a                     (algorithm 1)

Beyond the paper: the ridge may be other than 1; the inverse is kept, and moved by Sherman & Morrison's formula,
(A + x x')^-1 = A^-1 - A^-1 x x' A^-1 / (1 + x' A^-1 x); every arm sees the same x; pulls of several environments are
learned from one after the other; ties are broken at random.
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
from bellmax.ranges import NonNegative, Positive
from bellmax.spaces import Box, Discrete


class State(NamedTuple):
    """What has been learned: a linear model an arm."""

    inverse: Array  # [arms, features, features], A^-1
    b: Array  # [arms, features]


class LinUCB(Algorithm):
    """The arm that may be best in this context, as far as is known."""

    experience: Steps = Steps(1)  # pulls of every environment between two updates
    alpha: NonNegative = 1.0  # how much uncertainty is worth
    ridge: Positive = 1.0  # A at first is this times the identity

    def init(self, key: Array, spec: Spec) -> State:
        if not isinstance(spec.obs, Box):
            raise ValueError(f"observation space {spec.obs}: LinUCB needs a Box of features; try ucb without them.")
        arms, features = tables.shape_of(spec._replace(obs=Discrete(1)))[1], jnp.zeros(spec.obs.shape).size
        return State(jnp.tile(jnp.eye(features) / self.ridge, (arms, 1, 1)), jnp.zeros((arms, features)))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        x = obs.reshape(-1)
        spread = state.inverse @ x  # [arms, features]
        width = jnp.sqrt(jnp.maximum(spread @ x, 0))
        return Decision(choose(greedy((state.b * spread).sum(-1) + self.alpha * width), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy((state.b * (state.inverse @ obs.reshape(-1))).sum(-1)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        state, _ = jax.lax.scan(self.pull, state, tables.each(batch))
        return state, {"reward": weighted_mean(batch.reward, batch.weight)}

    def pull(self, state: State, one: Transition) -> tuple[State, None]:
        """Learn from one pull."""
        x = one.obs.reshape(-1)
        pulled = one.weight * jax.nn.one_hot(one.action, state.b.shape[0])[:, None]  # [arms, 1]
        spread = state.inverse @ x
        step = pulled / (1 + pulled * (spread @ x)[:, None]) * spread
        return State(state.inverse - step[:, :, None] * spread[:, None, :], state.b + pulled * one.reward * x), None
