"""Advantage actor-critic (Mnih et al., 2016), https://arxiv.org/abs/1602.01783, in its synchronous form.

Run the policy for a few steps in every environment; then take one gradient step along

    E[ log pi(a|s) A - c1 (V - G)^2 + c2 H ],    G = R + gamma R' + ... + gamma^k V,    A = G - V       (section 4)

where G runs to the end of the collected steps.

Beyond the paper: one learner steps all environments together instead of asynchronous threads; `gae_lambda` below 1
averages shorter returns (GAE); (V - G)^2 is halved. As in the paper: RMSprop, gradients clipped by their global norm.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Steps
from bellmax.maths.objectives import policy_gradient
from bellmax.maths.optimise import clipped_rmsprop, descend, global_norm
from bellmax.maths.returns import gae
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import explained_variance, weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.heads import ActorCritic
from bellmax.networks.mlp import Activation
from bellmax.ranges import NonNegative, Positive, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    network: ActorCritic
    opt_state: Any
    steps: Array  # environment steps learned from: the clock of the schedules


class A2C(Algorithm):
    """Advantage actor-critic, synchronous."""

    experience: Steps = Steps(5)  # steps of every environment between two updates
    gamma: Unit = 0.99  # discount
    gae_lambda: Unit = 1.0  # 1 is the paper's return to the end of the collected steps
    value_weight: NonNegative = 0.5  # c1
    entropy_weight: Scheduled = 0.01  # c2
    learning_rate: Scheduled = 7e-4  # RMSprop's
    max_grad_norm: Positive = 0.5  # gradients longer than this are shortened to it
    hidden: Sizes = (64, 64)  # widths of the dense layers
    activation: Activation = "tanh"  # between the dense layers
    shared: bool = False  # one torso for policy and value

    def init(self, key: Array, spec: Spec) -> State:
        network = ActorCritic(key, spec.obs, spec.action, self.hidden, self.activation, self.shared)
        return State(network, clipped_rmsprop(self.max_grad_norm).init(network), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.network.policy(obs).sample(key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.network.policy(obs).mode())

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        advantage, target = self.advantages(state.network, batch)
        loss = jax.grad(self.loss, has_aux=True)
        grads, metrics = loss(state.network, batch, advantage, target, state.steps)
        optimizer, learning_rate = clipped_rmsprop(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        metrics["grad_norm"] = global_norm(grads)
        metrics["explained_variance"] = explained_variance(target - advantage, target, batch.weight)
        return State(network, opt_state, state.steps + batch.weight.sum()), metrics

    def advantages(self, network: ActorCritic, batch: Transition) -> tuple[Array, Array]:
        """A and G = A + V, [time, env]."""
        value = jax.vmap(jax.vmap(network.value))(batch.obs)
        next_value = jax.vmap(jax.vmap(network.value))(batch.next_obs)
        advantage = gae(batch.reward, self.gamma * batch.discount, value, next_value, batch.last, self.gae_lambda)
        return advantage, advantage + value

    def loss(
        self, network: ActorCritic, batch: Transition, advantage: Array, target: Array, steps: Array
    ) -> tuple[Array, dict[str, Array]]:
        policy, value = jax.vmap(jax.vmap(network.policy))(batch.obs), jax.vmap(jax.vmap(network.value))(batch.obs)
        terms = {
            "policy_gradient": policy_gradient(policy.log_prob(batch.action), advantage),
            "value_error": value_error(value, target),
            "entropy": policy.entropy(),
        }
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        objective = means["policy_gradient"] - self.value_weight * means["value_error"]
        objective += at(self.entropy_weight, steps) * means["entropy"]
        return -objective, means
