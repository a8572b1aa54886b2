"""C51: deep Q-learning of distributions (Bellemare et al., 2017), https://arxiv.org/abs/1707.06887.

The return of every action is a distribution over N atoms z_i, evenly from v_min to v_max; Q is its mean. Keep the steps
that were taken; every few of them descend, on a batch drawn from those, the divergence (algorithm 1)

    KL(Phi Z' || Z(S,A; theta)),   Z' = R + gamma Z(S',a*; theta-),   a* = argmax_a Q(S',a; theta-)

where Phi puts the distribution back on the atoms and theta- is a copy of theta, renewed every C updates.

Beyond the paper: the loss is all of the divergence, where the paper writes its cross-entropy; they have one gradient.
C counts updates, and `target_rate` below 1 lets theta- follow slowly; the gradient is clipped by its norm. With
`Prioritised` experience the priority is the divergence, as in Rainbow; windows of n steps give n-step targets.
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


class C51(Algorithm):
    """Deep Q-learning of the distribution of returns, over fixed values."""

    experience: Replay | Prioritised = Replay(capacity=100_000, batch=128, start=1_000)  # what it learns from
    gamma: Unit = 0.99  # discount
    exploration: EpsilonGreedy | Boltzmann = EpsilonGreedy(Linear(1.0, 0.05))  # how actions are chosen while learning
    learning_rate: Scheduled = 2.5e-4  # Adam's
    target_every: Count = 500  # C: updates between two renewals of the target
    target_rate: Unit = 1.0  # how far the target then moves towards the network
    atoms: Annotated[int, Range(2)] = 51  # N
    v_min: float = -10.0  # the least return that can be told
    v_max: float = 10.0  # the largest
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (128, 128)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def __post_init__(self) -> None:
        Algorithm.__post_init__(self)
        check_support("C51", self.v_min, self.v_max)

    def init(self, key: Array, spec: Spec) -> State:
        network = QNetwork(key, spec.obs, spec.action, self.hidden, self.activation, outputs=self.atoms)
        opt_state = clipped_adam(self.max_grad_norm).init(network)
        return State(network, jax.tree.map(jnp.copy, network), opt_state, jnp.int32(0), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q = self.mean(state.network(obs))
        return Decision(choose(self.exploration.probabilities(q, jnp.zeros_like(q), state.steps, legal_of(obs)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(self.mean(state.network(obs)), legal_of(obs)), key))

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
        """Phi Z', [batch, atoms]."""
        logits, legal = jax.vmap(state.target)(batch.next_obs), legal_of(batch.next_obs)
        probabilities = jax.nn.softmax(of_action(logits, best_action(self.mean(logits), legal)))
        discount = unless_over(batch.discount, legal)
        values = batch.reward[:, None] + discount[:, None] * support(self.v_min, self.v_max, self.atoms)
        return project(probabilities, values, self.v_min, self.v_max)

    def loss(self, network: QNetwork, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        logits = of_action(jax.vmap(network)(batch.obs), batch.action)
        loss, value = divergence(target, logits), self.mean(logits)
        td_error = (target * support(self.v_min, self.v_max, self.atoms)).sum(-1) - value
        terms = {"loss": loss, "td_error": jnp.abs(td_error), "value": value}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["loss"], means | {"priority": loss}

    def mean(self, logits: Array) -> Array:
        """Q: [..., atoms] -> [...]."""
        return expectation(logits, self.v_min, self.v_max)
