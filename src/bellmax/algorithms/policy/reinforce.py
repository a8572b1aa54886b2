"""REINFORCE (Williams, 1992), https://doi.org/10.1007/BF00992696; Sutton & Barto, section 13.3 and 13.4.

Play an episode, then climb, at every step of it,

    grad log pi(A|S) (G - b(S)),      G = R + gamma R' + gamma^2 R'' + ...                      (eq. 13.8 and 13.11)

with b = 0, or with `baseline` a learned value of S, moved towards G.

Beyond the book: several environments play one episode each and the gradient is the mean over their steps; the factor
gamma^t in front is dropped, as nearly everybody does; steps are Adam's; what lies behind a time limit counts as 0,
since there is no bootstrapping here; `standardise_return` brings G - b to mean 0 and deviation 1 over the batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Episodes
from bellmax.maths.objectives import policy_gradient
from bellmax.maths.optimise import clipped_adam, descend, global_norm
from bellmax.maths.returns import monte_carlo_return
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import standardise, weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.heads import ActorCritic
from bellmax.networks.mlp import Activation
from bellmax.ranges import NonNegative, Positive, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    network: ActorCritic
    opt_state: Any
    steps: Array  # environment steps learned from: the clock of the schedules


class REINFORCE(Algorithm):
    """The Monte Carlo policy gradient, with or without a baseline."""

    experience: Episodes = Episodes(500)  # whole episodes, cut at this many steps
    gamma: Unit = 0.99  # discount
    baseline: bool = True  # subtract a learned value from the return
    value_weight: NonNegative = 0.5  # of the baseline's error
    entropy_weight: Scheduled = 0.0  # of a bonus for staying random
    standardise_return: bool = False  # mean 0 and deviation 1 over the batch
    learning_rate: Scheduled = 1e-3  # Adam's
    max_grad_norm: Positive = 1e9  # gradients longer than this are shortened to it
    hidden: Sizes = (64, 64)  # widths of the dense layers
    activation: Activation = "tanh"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        network = ActorCritic(key, spec.obs, spec.action, self.hidden, self.activation)
        return State(network, clipped_adam(self.max_grad_norm).init(network), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.network.policy(obs).sample(key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.network.policy(obs).mode())

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        target = monte_carlo_return(batch.reward, self.gamma * batch.discount, batch.last)
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, batch, target, state.steps)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        return State(network, opt_state, state.steps + batch.weight.sum()), metrics | {"grad_norm": global_norm(grads)}

    def loss(
        self, network: ActorCritic, batch: Transition, target: Array, steps: Array
    ) -> tuple[Array, dict[str, Array]]:
        policy = jax.vmap(jax.vmap(network.policy))(batch.obs)
        value = jax.vmap(jax.vmap(network.value))(batch.obs) if self.baseline else jnp.zeros_like(target)
        advantage = target - jax.lax.stop_gradient(value)
        if self.standardise_return:
            advantage = standardise(advantage, batch.weight)
        terms = {
            "policy_gradient": policy_gradient(policy.log_prob(batch.action), advantage),
            "value_error": value_error(value, target),
            "entropy": policy.entropy(),
        }
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        objective = means["policy_gradient"] + at(self.entropy_weight, steps) * means["entropy"]
        return -(objective - self.value_weight * means["value_error"]), means
