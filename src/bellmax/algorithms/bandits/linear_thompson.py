"""Thompson sampling with linear payoffs (Agrawal & Goyal, 2013), https://arxiv.org/abs/1209.3352, algorithm 1.

With B = I + sum b b' over the contexts b of the arms pulled, f = sum b R and mu = B^-1 f,

    draw mu~ ~ N(mu, v^2 B^-1), and pull argmax_a b_a' mu~

Here every arm sees the same context x and has weights of its own: b_a is x in the place of arm a and 0 elsewhere. So B
falls apart into a block an arm, and b_a' mu~ is a draw of its own from N(mu_a' x, v^2 x' B_a^-1 x): no square root of a
matrix is needed.

Beyond the paper: the ridge may be other than 1; inverses are kept, and moved by Sherman & Morrison's formula; v is a
number to choose, where the paper's sqrt(9 d ln(t / delta)) times the noise explores far too much in practice; pulls of
several environments are learned from one after the other.
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
    """The belief: a normal distribution of weights an arm."""

    inverse: Array  # [arms, features, features], B^-1
    f: Array  # [arms, features]


class LinearThompson(Algorithm):
    """The arm that is best in this context, in a world drawn from what is believed."""

    experience: Steps = Steps(1)  # pulls of every environment between two updates
    scale: NonNegative = 0.5  # v, about the standard deviation of the noise
    ridge: Positive = 1.0  # B at first is this times the identity

    def init(self, key: Array, spec: Spec) -> State:
        if not isinstance(spec.obs, Box):
            raise ValueError(
                f"observation space {spec.obs}: LinearThompson needs a Box of features; try thompson without them."
            )
        arms, features = tables.shape_of(spec._replace(obs=Discrete(1)))[1], jnp.zeros(spec.obs.shape).size
        return State(jnp.tile(jnp.eye(features) / self.ridge, (arms, 1, 1)), jnp.zeros((arms, features)))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        x = obs.reshape(-1)
        spread = state.inverse @ x  # [arms, features]
        deviation = self.scale * jnp.sqrt(jnp.maximum(spread @ x, 0))
        drawn = (state.f * spread).sum(-1) + deviation * jax.random.normal(key, deviation.shape)
        return Decision(jnp.argmax(drawn).astype(jnp.int32))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy((state.f * (state.inverse @ obs.reshape(-1))).sum(-1)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        state, _ = jax.lax.scan(self.pull, state, tables.each(batch))
        return state, {"reward": weighted_mean(batch.reward, batch.weight)}

    def pull(self, state: State, one: Transition) -> tuple[State, None]:
        """Learn from one pull."""
        x = one.obs.reshape(-1)
        pulled = one.weight * jax.nn.one_hot(one.action, state.f.shape[0])[:, None]  # [arms, 1]
        spread = state.inverse @ x
        step = pulled / (1 + pulled * (spread @ x)[:, None]) * spread
        return State(state.inverse - step[:, :, None] * spread[:, None, :], state.f + pulled * one.reward * x), None
