"""Bandits whose arms pay at random: fixed means, coins, and means that drift (Sutton & Barto, chapter 2).

A pull has no future, so its discount is 0, but the problem goes on: `last` is never True. A reset draws a new problem.
`means` is what every arm pays on average now: regret is counted from it, and no learner sees it.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.ranges import Count, NonNegative, Range
from bellmax.spaces import Discrete


class Problem(NamedTuple):
    """One bandit problem."""

    means: Array  # [arms], what every arm pays on average


class GaussianBandit(Env):
    """The testbed of section 2.3: an arm pays N(q*, `noise`), and reset draws q* from N(`mean`, `spread`).

    `noise` and `spread` are standard deviations. Observation: always 0. Action: the arm to pull.
    """

    arms: Count = 10
    mean: float = 0.0
    spread: NonNegative = 1.0
    noise: NonNegative = 1.0

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(1), Discrete(self.arms))

    def reset(self, key: Array) -> tuple[Problem, Array]:
        return Problem(self.mean + self.spread * jax.random.normal(key, (self.arms,))), jnp.int32(0)

    def step(self, env_state: Problem, action: Array, key: Array) -> tuple[Problem, Outcome]:
        return env_state, paid(of_arm(env_state.means, action) + self.noise * jax.random.normal(key))

    def means(self, env_state: Problem, obs: Array) -> Array:
        """What every arm pays on average now, [arms]."""
        return env_state.means


class BernoulliBandit(Env):
    """Coins: an arm pays 1 with its probability and else 0.

    The probabilities are given, or drawn evenly from [0, 1] at reset for `arms` arms. Observation: always 0.
    Action: the arm to pull.
    """

    probabilities: Annotated[tuple[float, ...], Range(0, 1)] = ()
    arms: Count = 10

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(1), Discrete(len(self.probabilities) or self.arms))

    def reset(self, key: Array) -> tuple[Problem, Array]:
        drawn = jax.random.uniform(key, (self.arms,))
        return Problem(jnp.asarray(self.probabilities, jnp.float32) if self.probabilities else drawn), jnp.int32(0)

    def step(self, env_state: Problem, action: Array, key: Array) -> tuple[Problem, Outcome]:
        heads = jax.random.uniform(key) < of_arm(env_state.means, action)
        return env_state, paid(heads.astype(jnp.float32))

    def means(self, env_state: Problem, obs: Array) -> Array:
        """What every arm pays on average now, [arms]."""
        return env_state.means


class DriftingBandit(Env):
    """Exercise 2.5: every q* begins at `mean` and after each pull takes a step of N(0, `step_size`).

    An arm pays N(q*, `noise`); both are standard deviations. Observation: always 0. Action: the arm to pull.
    """

    arms: Count = 10
    mean: float = 0.0
    step_size: NonNegative = 0.01
    noise: NonNegative = 1.0

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(1), Discrete(self.arms))

    def reset(self, key: Array) -> tuple[Problem, Array]:
        return Problem(jnp.full(self.arms, self.mean, jnp.float32)), jnp.int32(0)

    def step(self, env_state: Problem, action: Array, key: Array) -> tuple[Problem, Outcome]:
        draw = jax.random.normal(key, (self.arms + 1,))
        reward = of_arm(env_state.means, action) + self.noise * draw[0]
        return Problem(env_state.means + self.step_size * draw[1:]), paid(reward)

    def means(self, env_state: Problem, obs: Array) -> Array:
        """What every arm pays on average now, [arms]."""
        return env_state.means


def of_arm(values: Array, action: Array) -> Array:
    """values[action], without the gather that is slow where many problems are pulled together."""
    return jnp.where(jnp.arange(values.shape[0]) == action, values, 0.0).sum()


def paid(reward: Array, obs: Array | None = None) -> Outcome:
    """A pull that paid `reward`: there is no future to it, and the problem goes on."""
    return Outcome(jnp.int32(0) if obs is None else obs, reward, jnp.float32(0), jnp.bool_(False))
