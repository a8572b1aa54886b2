"""EXP3 (Auer, Cesa-Bianchi, Freund & Schapire, 2002), https://doi.org/10.1137/S0097539701398375, section 3.

For rewards that somebody else decides on, not chance: against any fixed sequence it does nearly as well as the best
single arm. Draw an arm from

    p_i = (1 - gamma) w_i / sum w + gamma / K

then weigh what it paid, r in [0, 1], by how seldom it is drawn, and grow its weight:

    w_A <- w_A exp( gamma / K  r / p_A )

Beyond the paper: weights are kept as logarithms, the largest 0, so that nothing overflows; rewards from [`low`, `high`]
are brought to [0, 1]; where several environments pull at once, their changes are multiplied.
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
from bellmax.ranges import Unit
from bellmax.spaces import Discrete


class State(NamedTuple):
    """What has been learned."""

    log_weight: Array  # [arms], ln w, the largest 0


class EXP3(Algorithm):
    """Exponential weights for exploration and exploitation: no assumption on what is paid, but its range."""

    experience: Steps = Steps(1)  # pulls of every environment between two updates
    mixing: Unit = 0.1  # gamma: share of the pulls that are drawn evenly, and the step of the weights
    low: float = 0.0  # the smallest reward
    high: float = 1.0  # the largest

    def init(self, key: Array, spec: Spec) -> State:
        return State(jnp.zeros(tables.shape_of(spec._replace(obs=Discrete(1)))[1:]))  # one state, whatever is seen

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        probabilities = self.probabilities(state)
        action = choose(probabilities, key)
        chosen = jax.nn.one_hot(action, probabilities.shape[0])
        return Decision(action, {"probability": (probabilities * chosen).sum()})

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.log_weight), key))

    def probabilities(self, state: State) -> Array:
        """Of every arm, [arms]."""
        return (1 - self.mixing) * jax.nn.softmax(state.log_weight) + self.mixing / state.log_weight.shape[0]

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        rows, arms = tables.each(batch), state.log_weight.shape[0]
        estimate = (rows.reward - self.low) / (self.high - self.low) / rows.extras["probability"]
        pulled = rows.weight[:, None] * jax.nn.one_hot(rows.action, arms)
        log_weight = state.log_weight + self.mixing / arms * (pulled * estimate[:, None]).sum(0)
        return State(log_weight - log_weight.max()), {"reward": weighted_mean(batch.reward, batch.weight)}
