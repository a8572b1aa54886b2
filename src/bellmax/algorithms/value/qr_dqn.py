"""QR-DQN: deep Q-learning of quantiles (Dabney et al., 2018), https://arxiv.org/abs/1710.10044.

The return of every action is N values theta_i, as likely as each other: its quantiles tau_i = (2 i - 1) / 2 N; Q is
their mean. Keep the steps that were taken; every few of them descend, on a batch drawn from those, the loss of quantile
regression (algorithm 1)

    sum_i mean_j rho_tau_i(R + gamma theta_j(S',a*) - theta_i(S,A)),   a* = argmax_a Q(S',a)

where rho_tau(u) = |tau - 1[u < 0]| L(u), L is Huber's loss of width kappa, and S' is seen by a copy of the network,
renewed every C updates.

Beyond the paper: C counts updates, and `target_rate` below 1 lets the copy follow slowly; the gradient is clipped by
its norm; rho is divided by kappa, as in IQN. With `Prioritised` experience the priority is the loss; windows of n steps
give n-step targets.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Prioritised, Replay, fold
from bellmax.maths.chance import choose
from bellmax.maths.distributional import best_action, midpoints, of_action, quantile_huber, unless_over
from bellmax.maths.exploration import Boltzmann, EpsilonGreedy, greedy
from bellmax.maths.optimise import clipped_adam, descend, follow, global_norm
from bellmax.maths.schedules import Linear, Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.networks.mlp import Activation
from bellmax.networks.value_networks import QNetwork
from bellmax.ranges import Count, Positive, Range, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    network: QNetwork  # theta
    target: QNetwork  # theta-
    opt_state: Any
    updates: Array  # so far: the clock of theta-
    steps: Array  # environment steps so far: the clock of the schedules


class QRDQN(Algorithm):
    """Deep Q-learning of the distribution of returns, over fixed probabilities."""

    experience: Replay | Prioritised = Replay(capacity=100_000, batch=128, start=1_000)  # what it learns from
    gamma: Unit = 0.99  # discount
    exploration: EpsilonGreedy | Boltzmann = EpsilonGreedy(Linear(1.0, 0.05))  # how actions are chosen while learning
    learning_rate: Scheduled = 2.5e-4  # Adam's
    target_every: Count = 500  # C: updates between two renewals of the target
    target_rate: Unit = 1.0  # how far the target then moves towards the network
    quantiles: Annotated[int, Range(2)] = 200  # N
    kappa: Positive = 1.0  # errors beyond this count in proportion to their size
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (128, 128)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        network = QNetwork(key, spec.obs, spec.action, self.hidden, self.activation, outputs=self.quantiles)
        opt_state = clipped_adam(self.max_grad_norm).init(network)
        return State(network, jax.tree.map(jnp.copy, network), opt_state, jnp.int32(0), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q = state.network(obs).mean(-1)
        return Decision(choose(self.exploration.probabilities(q, jnp.zeros_like(q), state.steps, legal_of(obs)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.network(obs).mean(-1), legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        target = self.target(state, batch)
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, batch, target)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        updates = state.updates + 1
        renewed = follow(state.target, network, self.target_rate * (updates % self.target_every == 0))
        return State(network, renewed, opt_state, updates, steps), metrics | {"grad_norm": global_norm(grads)}

    def target(self, state: State, batch: Transition) -> Array:
        """R + gamma theta_j(S',a*), [batch, quantiles]."""
        theta, legal = jax.vmap(state.target)(batch.next_obs), legal_of(batch.next_obs)
        discount = unless_over(batch.discount, legal)
        return batch.reward[:, None] + discount[:, None] * of_action(theta, best_action(theta.mean(-1), legal))

    def loss(self, network: QNetwork, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        theta = of_action(jax.vmap(network)(batch.obs), batch.action)
        tau = jnp.broadcast_to(midpoints(self.quantiles), theta.shape)
        loss, value = quantile_huber(theta, target, tau, self.kappa), theta.mean(-1)
        terms = {"loss": loss, "td_error": jnp.abs(target.mean(-1) - value), "value": value}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["loss"], means | {"priority": loss}
