"""IQN: implicit quantile networks (Dabney et al., 2018), https://arxiv.org/abs/1806.06923.

The network is asked for any quantile: Z_tau(s,a); Q is the mean over tau from U(0, 1). Keep the steps that were taken;
every few of them descend, on a batch drawn from those, with fresh tau_1 .. tau_N and tau'_1 .. tau'_N' (eq. 3)

    sum_i mean_j rho_tau_i(R + gamma Z_tau'_j(S',a*) - Z_tau_i(S,A)),   a* = argmax_a mean of K samples of Z(S',a)

where rho_tau(u) = |tau - 1[u < 0]| L(u) / kappa, L is Huber's loss of width kappa, and S' is seen by a copy of the
network, renewed every C updates. Actions are chosen by the mean of K samples too (eq. 5).

The paper's option: `risk` below 1 chooses actions by tau from U(0, risk), the mean of the worst share (its CVaR).

Beyond the paper: C counts updates, and `target_rate` below 1 lets the copy follow slowly; the gradient is clipped by
its norm. With `Prioritised` experience the priority is the loss; windows of n steps give n-step targets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Prioritised, Replay, fold
from bellmax.maths.chance import choose
from bellmax.maths.distributional import best_action, of_action, quantile_huber, unless_over
from bellmax.maths.exploration import Boltzmann, EpsilonGreedy, greedy
from bellmax.maths.optimise import clipped_adam, descend, follow, global_norm
from bellmax.maths.schedules import Linear, Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.networks.mlp import Activation
from bellmax.networks.quantile_networks import ImplicitQuantiles
from bellmax.ranges import Count, Positive, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    network: ImplicitQuantiles  # theta
    target: ImplicitQuantiles  # theta-
    opt_state: Any
    updates: Array  # so far: the clock of theta-
    steps: Array  # environment steps so far: the clock of the schedules


class IQN(Algorithm):
    """Deep Q-learning of the distribution of returns, asked for any quantile."""

    experience: Replay | Prioritised = Replay(capacity=100_000, batch=128, start=1_000)  # what it learns from
    gamma: Unit = 0.99  # discount
    exploration: EpsilonGreedy | Boltzmann = EpsilonGreedy(Linear(1.0, 0.05))  # how actions are chosen while learning
    learning_rate: Scheduled = 2.5e-4  # Adam's
    target_every: Count = 500  # C: updates between two renewals of the target
    target_rate: Unit = 1.0  # how far the target then moves towards the network
    samples: Count = 64  # N: quantiles that are moved
    target_samples: Count = 64  # N': quantiles they are moved towards
    choice_samples: Count = 32  # K: quantiles whose mean chooses an action
    cosines: Count = 64  # of the embedding of tau
    risk: Unit = 1.0  # actions are chosen by the mean of this worst share of the return; 1 is all of it
    kappa: Positive = 1.0  # errors beyond this count in proportion to their size
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (128, 128)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        network = ImplicitQuantiles(key, spec.obs, spec.action, self.hidden, self.activation, self.cosines)
        opt_state = clipped_adam(self.max_grad_norm).init(network)
        return State(network, jax.tree.map(jnp.copy, network), opt_state, jnp.int32(0), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        tau_key, choice_key = jax.random.split(key)
        q = self.q(state.network, obs, tau_key)
        probabilities = self.exploration.probabilities(q, jnp.zeros_like(q), state.steps, legal_of(obs))
        return Decision(choose(probabilities, choice_key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        tau_key, choice_key = jax.random.split(key)
        return Decision(choose(greedy(self.q(state.network, obs, tau_key), legal_of(obs)), choice_key))

    def q(self, network: ImplicitQuantiles, obs: Any, key: Array) -> Array:
        """The mean of K samples of every action's return -> [actions]."""
        return network(obs, self.risk * jax.random.uniform(key, (self.choice_samples,))).mean(-1)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        next_key, key = jax.random.split(key)
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        target = self.target(state.target, batch, next_key)
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, batch, target, key)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        updates = state.updates + 1
        renewed = follow(state.target, network, self.target_rate * (updates % self.target_every == 0))
        return State(network, renewed, opt_state, updates, steps), metrics | {"grad_norm": global_norm(grads)}

    def target(self, network: ImplicitQuantiles, batch: Transition, key: Array) -> Array:
        """R + gamma Z_tau'_j(S',a*), [batch, target samples]."""
        tau = jax.random.uniform(key, (len(batch.reward), self.choice_samples + self.target_samples))
        tau = tau.at[:, : self.choice_samples].multiply(self.risk)
        choice, z = jnp.split(jax.vmap(network)(batch.next_obs, tau), [self.choice_samples], axis=-1)
        legal = legal_of(batch.next_obs)
        discount = unless_over(batch.discount, legal)
        return batch.reward[:, None] + discount[:, None] * of_action(z, best_action(choice.mean(-1), legal))

    def loss(
        self, network: ImplicitQuantiles, batch: Transition, target: Array, key: Array
    ) -> tuple[Array, dict[str, Array]]:
        tau = jax.random.uniform(key, (len(batch.reward), self.samples))
        z = of_action(jax.vmap(network)(batch.obs, tau), batch.action)
        loss, value = quantile_huber(z, target, tau, self.kappa), z.mean(-1)
        terms = {"loss": loss, "td_error": jnp.abs(target.mean(-1) - value), "value": value}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["loss"], means | {"priority": loss}
