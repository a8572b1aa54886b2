"""What solving a model gives, and how near it is to the optimum: a bound that is true, and said.

The last word is always had in float64, whatever the precision of the solver: one sweep T over its values v, rounding
counted. Where every step loses something (gamma < 1, or every action may end the episode), the bounds of MacQueen and
Porteus hold, see `sweeps.middle`. Otherwise see `endings`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.mdp import endings
from bellmax.mdp.layout import Kind, Model, expected_reward, missing, precision, prepare
from bellmax.mdp.model import MDP
from bellmax.mdp.sweeps import action_values, extent, middle

UNIT = 2.3e-16  # a float64 operation's rounding, relative


class Solution(NamedTuple):
    """The optimum of a model, up to `bound`."""

    values: np.ndarray  # [states], in the model's precision; 0 in absorbing states
    q: np.ndarray  # [states, actions]: reward + gamma * expected value; -inf where illegal
    policy: np.ndarray  # int [states]: a best action; with gamma = 1 one that ends
    optimal_actions: np.ndarray  # bool [states, actions]: all that may be best as far as the bound tells
    residuals: np.ndarray  # [sweeps made as a whole]: the largest change of a value in each
    sweeps: int  # over all states; policy iteration counts improvements
    bound: float  # max over states of |values - optimal values| is at most this
    seconds: float  # preparing and compiling included
    method: str


class Problem(NamedTuple):
    """A model prepared: for the solver, and for the last word."""

    mdp: MDP
    model: Model  # in the model's own precision
    exact: Model  # rewards and arithmetic in float64, the arrays shared
    factors: np.ndarray  # float64 [2]: the least and the largest part of a difference that a step hands on
    largest_reward: float

    @property
    def dtype(self) -> np.dtype:
        return self.mdp.probability.dtype

    def rounding(self, size: float, dtype: np.dtype | type = np.float64) -> float:
        """How wrong a computed sweep over values of this size can be."""
        unit = UNIT if dtype == np.float64 else float(np.finfo(np.float32).eps)
        return 2 * (self.mdp.outcomes + 4) * unit * (self.largest_reward + size)


class Verdict(NamedTuple):
    """The values after the last word."""

    values: np.ndarray  # float64 [states]
    bound: float
    residual: float


def problem(mdp: MDP, kind: Kind | None = None) -> Problem:
    """Prepare a model."""
    model = prepare(mdp, kind)
    reward = expected_reward(mdp)
    with precision(np.float64):
        short = missing(mdp) if model.kind == "shifted" else np.zeros(0, np.float32)
        exact = model.exactly(reward, mdp.gamma, short)
        alive = jnp.where(exact.absorbing, 0.0, 1.0)
        chance = action_values(exact.with_reward(jnp.where(jnp.isneginf(exact.reward), -jnp.inf, 0.0)), alive)
        counts = ~(jnp.isneginf(chance) | exact.absorbing)
        least, largest = jnp.min(jnp.where(counts, chance, jnp.inf)), jnp.max(jnp.where(counts, chance, -jnp.inf))
    slack = (mdp.outcomes + 4) * UNIT
    factors = np.array([float(least) * (1 - slack), float(largest) * (1 + slack)])
    largest_reward = float(np.abs(reward, where=np.isfinite(reward), out=np.zeros_like(reward)).max())
    return Problem(mdp, model, exact, factors, largest_reward)


def judge(it: Problem, values: np.ndarray | Array) -> Verdict:
    """The last word on values [states]: improved by a sweep, and how far from the optimum they can be.

    The bound is for the values in the model's precision; it is infinite where nothing could be proven.
    """
    with precision(np.float64):
        v = jnp.where(it.exact.absorbing, 0.0, jnp.asarray(np.asarray(values, np.float64)))
        if it.factors[1] >= 1:
            improved, bound, residual = endings.judge(it, v)
        else:
            improved, bound, residual = _judge_losing(it, v)
    size = float(np.abs(improved).max())
    stored = size * float(np.finfo(it.dtype).eps) if it.dtype == np.float32 else 0.0
    return Verdict(improved, bound + stored, residual)


def _judge_losing(it: Problem, values: Array) -> tuple[np.ndarray, float, float]:
    """Where every step loses something."""
    new = jnp.max(action_values(it.exact, values), axis=0)
    low, high = (float(x) for x in extent(it.exact, new - values))
    error = it.rounding(float(jnp.max(jnp.abs(values))))
    centre, radius = middle(jnp.asarray(low - error), jnp.asarray(high + error), jnp.asarray(it.factors))
    improved = np.asarray(jnp.where(it.exact.absorbing, 0.0, new + centre))
    return improved, float(radius) + 2 * error, max(high, -low)


def conclude(
    it: Problem, verdict: Verdict, residuals: np.ndarray, sweeps: int, seconds: float, method: str
) -> Solution:
    """Q, policy and all optimal actions from the last word."""
    with precision(np.float64):
        q = np.asarray(action_values(it.exact, jnp.asarray(verdict.values))).T
    size = float(np.abs(verdict.values).max())
    best = q.max(axis=1, keepdims=True)
    error = it.rounding(size) + (UNIT if it.dtype == np.float64 else 1.2e-7) * size
    equal = q >= best - 4 * error
    within = q >= best - 2 * (min(it.factors[1], 1.0) * verdict.bound + 2 * error)
    policy = equal.argmax(axis=1)
    if it.factors[1] >= 1 and it.mdp.gamma == 1:
        policy = endings.choose_to_end(it.mdp, equal, within)
    values, q = verdict.values.astype(it.dtype), np.ascontiguousarray(q, dtype=it.dtype)
    optimal = within & np.isfinite(q)
    return Solution(values, q, policy.astype(np.int32), optimal, residuals, sweeps, verdict.bound, seconds, method)
