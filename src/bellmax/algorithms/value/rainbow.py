"""Rainbow: six improvements of deep Q-learning in one (Hessel et al., 2018), https://arxiv.org/abs/1710.02298.

The return of every action is a distribution over N atoms (C51), of a dueling network with noise in its weights, which
explores. Keep the steps that were taken, prioritised; every few of them descend, on windows of n steps,

    KL(Phi Z' || Z(S,A; theta)),   Z' = R^(n) + gamma^n Z(S_n,a*; theta-),   a* = argmax_a Q(S_n,a; theta)

where Phi puts the distribution back on the atoms, R^(n) are n rewards, discounted, and theta- is a copy of theta,
renewed every C updates: double Q-learning. The priority of a window is the divergence. Each of the three networks has
noise of its own, drawn for the batch; evaluation is by the means, without noise.

The dueling network, with phi the features (the paper's section "The integrated agent"):

    Z_i(s,a) = softmax_i( V_i(phi) + A_i(phi, a) - mean over a of A_i(phi, a) )

Beyond the paper: the value and the advantage are each one layer behind the torso, whose dense layers they share. C
counts updates, and `target_rate` below 1 lets theta- follow slowly; the gradient is clipped by its norm; importance
weights are averaged by, so that they change no step's size. Before the first update actions are drawn evenly, as in
DQN.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Prioritised, Replay, fold
from bellmax.maths.chance import choose
from bellmax.maths.distributional import (
    best_action,
    check_support,
    divergence,
    expectation,
    of_action,
    project,
    support,
    unless_over,
)
from bellmax.maths.exploration import evenly, greedy
from bellmax.maths.optimise import clipped_adam, descend, follow, global_norm
from bellmax.maths.schedules import Linear, Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.networks.mlp import Activation
from bellmax.networks.noisy import drawn, noisy, quiet
from bellmax.networks.value_networks import QNetwork
from bellmax.ranges import Count, NonNegative, Positive, Range, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    network: Any  # theta: a QNetwork with a mean and a deviation of every weight
    target: Any  # theta-
    opt_state: Any
    updates: Array  # so far: the clock of theta-
    steps: Array  # environment steps so far: the clock of the schedules


class Rainbow(Algorithm):
    """Deep Q-learning: double, dueling, distributional, noisy, prioritised, with n-step targets."""

    experience: Prioritised | Replay = Prioritised(n=3, alpha=0.5, beta=Linear(0.4, 1.0))  # what it learns from
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 2.5e-4  # Adam's
    target_every: Count = 500  # C: updates between two renewals of the target
    target_rate: Unit = 1.0  # how far the target then moves towards the network
    atoms: Annotated[int, Range(2)] = 51  # N
    v_min: float = -10.0  # the least return that can be told
    v_max: float = 10.0  # the largest
    sigma: NonNegative = 0.5  # sigma_0: the noise at first
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (128, 128)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def __post_init__(self) -> None:
        Algorithm.__post_init__(self)
        check_support("Rainbow", self.v_min, self.v_max)

    def init(self, key: Array, spec: Spec) -> State:
        network_key, noise_key = jax.random.split(key)
        plain = QNetwork(network_key, spec.obs, spec.action, self.hidden, self.activation, True, self.atoms)
        network = noisy(plain, noise_key, self.sigma)
        opt_state = clipped_adam(self.max_grad_norm).init(network)
        return State(network, jax.tree.map(jnp.copy, network), opt_state, jnp.int32(0), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        noise_key, choice_key = jax.random.split(key)
        q, legal = self.mean(drawn(state.network, noise_key)(obs)), legal_of(obs)
        return Decision(choose(jnp.where(state.steps == 0, evenly(q, legal), greedy(q, legal)), choice_key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(self.mean(quiet(state.network)(obs)), legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        next_key, noise_key = jax.random.split(key)
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        target = self.target(state, batch, next_key)
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, batch, target, noise_key)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        updates = state.updates + 1
        renewed = follow(state.target, network, self.target_rate * (updates % self.target_every == 0))
        return State(network, renewed, opt_state, updates, steps), metrics | {"grad_norm": global_norm(grads)}

    def target(self, state: State, batch: Transition, key: Array) -> Array:
        """Phi Z', [batch, atoms]."""
        target_key, choice_key = jax.random.split(key)
        logits = jax.vmap(drawn(state.target, target_key))(batch.next_obs)
        q = self.mean(jax.vmap(drawn(state.network, choice_key))(batch.next_obs))
        legal = legal_of(batch.next_obs)
        probabilities = jax.nn.softmax(of_action(logits, best_action(q, legal)))
        discount = unless_over(batch.discount, legal)
        values = batch.reward[:, None] + discount[:, None] * support(self.v_min, self.v_max, self.atoms)
        return project(probabilities, values, self.v_min, self.v_max)

    def loss(self, network: Any, batch: Transition, target: Array, key: Array) -> tuple[Array, dict[str, Array]]:
        logits = of_action(jax.vmap(drawn(network, key))(batch.obs), batch.action)
        loss, value = divergence(target, logits), self.mean(logits)
        td_error = (target * support(self.v_min, self.v_max, self.atoms)).sum(-1) - value
        terms = {"loss": loss, "td_error": jnp.abs(td_error), "value": value}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["loss"], means | {"priority": loss}

    def mean(self, logits: Array) -> Array:
        """Q: [..., atoms] -> [...]."""
        return expectation(logits, self.v_min, self.v_max)
