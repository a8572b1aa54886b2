"""Conservative Q-learning (Kumar et al., 2020), https://arxiv.org/abs/2006.04779: CQL(H) on deep Q-learning.

Deep Q-learning on logged steps that is also to hold the choices that were not made for worse than the one that was:

    L = alpha E[ log sum_a exp Q(S,a) - Q(S,A) ] + E[ (y - Q(S,A))^2 ] / 2                                  (eq. 4)
    y = R + gamma Q'(S', argmax_a Q(S',a))

The sum is over all legal choices, exactly; Q' is a copy of Q that is renewed every C updates. Without the first term a
choice that the data lack is worth whatever the network makes up, and the maximum in y looks for what is made up high.

Beyond the paper: y is that of double Q-learning (van Hasselt et al., 2016, https://arxiv.org/abs/1509.06461, eq. 4),
and Q one number instead of quantiles; Adam's gradient is clipped by its norm; `target_rate` below 1 lets Q' follow
slowly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Dataset, Replay, fold
from bellmax.maths.chance import choose
from bellmax.maths.conservative import conservative_gap
from bellmax.maths.distributional import best_action, of_action, unless_over
from bellmax.maths.exploration import Boltzmann, EpsilonGreedy, greedy
from bellmax.maths.optimise import clipped_adam, descend, follow, global_norm
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.maths.values import value_error
from bellmax.networks.mlp import Activation
from bellmax.networks.value_networks import QNetwork
from bellmax.ranges import Count, NonNegative, Positive, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    network: QNetwork  # Q
    target: QNetwork  # Q'
    opt_state: Any
    updates: Array  # so far: the clock of Q'
    steps: Array  # the clock of schedules


class DiscreteCQL(Algorithm):
    """Conservative Q-learning for choices."""

    experience: Dataset | Replay = Dataset(batch=256)  # what it learns from
    gamma: Unit = 0.99  # discount
    alpha: NonNegative = 1.0  # how conservative it is; 0 is deep Q-learning, 4 the paper's with little data
    learning_rate: Scheduled = 2.5e-4  # Adam's
    target_every: Count = 500  # C: updates between two renewals of the target
    target_rate: Unit = 1.0  # how far the target then moves towards the network
    exploration: EpsilonGreedy | Boltzmann = EpsilonGreedy(0.05)  # how choices are made where it goes on online
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (256, 256)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        network = QNetwork(key, spec.obs, spec.action, self.hidden, self.activation)
        opt_state = clipped_adam(self.max_grad_norm).init(network)
        return State(network, jax.tree.map(jnp.copy, network), opt_state, jnp.int32(0), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q = state.network(obs)
        return Decision(choose(self.exploration.probabilities(q, jnp.zeros_like(q), state.steps, legal_of(obs)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.network(obs), legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        target = batch.reward + batch.discount * self.next_value(state, batch.next_obs)
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, batch, target)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        updates = state.updates + 1
        renewed = follow(state.target, network, self.target_rate * (updates % self.target_every == 0))
        return State(network, renewed, opt_state, updates, steps), metrics | {"grad_norm": global_norm(grads)}

    def next_value(self, state: State, next_obs: Any) -> Array:
        """Q'(S', argmax_a Q(S',a)) over the legal choices, [batch]; 0 where there are none."""
        legal = legal_of(next_obs)
        chosen = best_action(jax.vmap(state.network)(next_obs), legal)
        return unless_over(of_action(jax.vmap(state.target)(next_obs), chosen), legal)

    def loss(self, network: QNetwork, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        q = jax.vmap(network)(batch.obs)
        value, gap = of_action(q, batch.action), conservative_gap(q, batch.action, legal_of(batch.obs))
        terms = {"loss": value_error(value, target) + self.alpha * gap, "value": value, "gap": gap}
        terms |= {"td_error": jnp.abs(target - value)}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["loss"], means
