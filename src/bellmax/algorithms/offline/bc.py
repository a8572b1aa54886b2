"""Behaviour cloning (Pomerleau, 1991), https://doi.org/10.1162/neco.1991.3.1.88: learning what was chosen.

    descend  E[ -log pi(A|S) ]  over logged steps

Beyond the paper: any observation and action; of continuous ones a normal with a mean in -1 .. 1 is learned, whose
deviation does not depend on the observation; Adam. Rewards are not looked at.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Dataset, Replay
from bellmax.maths.optimise import adam, descend
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.networks.mlp import Activation
from bellmax.networks.policies import PolicyNetwork
from bellmax.ranges import Sizes


class State(NamedTuple):
    """What has been learned."""

    policy: PolicyNetwork
    opt_state: Any
    steps: Array  # updates so far


class BC(Algorithm):
    """Behaviour cloning."""

    experience: Dataset | Replay = Dataset(batch=256)  # what it learns from
    learning_rate: Scheduled = 1e-3  # Adam's
    hidden: Sizes = (256, 256)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        policy = PolicyNetwork(key, spec.obs, spec.action, self.hidden, self.activation)
        return State(policy, adam().init(policy), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.policy.to_action(state.policy(obs).sample(key)))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.policy.to_action(state.policy(obs).mode()))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.policy, batch)
        learning_rate = at(self.learning_rate, state.steps)
        policy, opt_state = descend(adam(), state.policy, grads, state.opt_state, learning_rate)
        return State(policy, opt_state, batch.extras["steps"].max()), metrics

    def loss(self, policy: PolicyNetwork, batch: Transition) -> tuple[Array, dict[str, Array]]:
        surprise = -jax.vmap(jax.vmap(policy.log_prob))(batch.obs, batch.action)
        loss = weighted_mean(surprise, batch.weight)
        return loss, {"loss": loss, "reward": weighted_mean(batch.reward, batch.weight)}
