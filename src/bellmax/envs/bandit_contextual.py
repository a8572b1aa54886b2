"""A bandit with a context: which arm is best depends on what is seen before the pull."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.bandits import of_arm, paid
from bellmax.ranges import Count, NonNegative
from bellmax.spaces import Box, Discrete


class LinearProblem(NamedTuple):
    """One contextual problem, and the context of the next pull."""

    weights: Array  # [arms, features], theta* of every arm
    context: Array  # [features]


class ContextualBandit(Env):
    """An arm pays theta* . x on average, x the context: the setting of disjoint LinUCB.

    Li et al., A Contextual-Bandit Approach to Personalized News Article Recommendation, 2010
    (https://arxiv.org/abs/1003.0146). Reset draws a theta* of length 1 for every arm; every pull has a fresh context of
    length 1, all directions alike; `noise` is the standard deviation of Gaussian noise on the reward.

    Observation: the context, [features]. Action: the arm to pull.
    """

    arms: Count = 10
    features: Count = 5
    noise: NonNegative = 0.1

    @property
    def spec(self) -> Spec:
        return Spec(Box((self.features,), -1.0, 1.0), Discrete(self.arms))

    def reset(self, key: Array) -> tuple[LinearProblem, Array]:
        weights_key, context_key = jax.random.split(key)
        context = direction(jax.random.normal(context_key, (self.features,)))
        return LinearProblem(direction(jax.random.normal(weights_key, (self.arms, self.features))), context), context

    def step(self, env_state: LinearProblem, action: Array, key: Array) -> tuple[LinearProblem, Outcome]:
        noise_key, context_key = jax.random.split(key)
        mean = of_arm(self.means(env_state, env_state.context), action)
        context = direction(jax.random.normal(context_key, (self.features,)))
        return env_state._replace(context=context), paid(mean + self.noise * jax.random.normal(noise_key), context)

    def means(self, env_state: LinearProblem, obs: Array) -> Array:
        """What every arm pays on average in context `obs` [features] -> [arms]."""
        return env_state.weights @ obs


def direction(x: Array) -> Array:
    """Vectors [..., features] brought to length 1; even over all directions if they are standard normal."""
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
