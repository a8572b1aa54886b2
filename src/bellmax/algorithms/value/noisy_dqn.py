"""NoisyNet-DQN: deep Q-learning that explores by noise in its weights (Fortunato et al., 2018),
https://arxiv.org/abs/1706.10295.

Every weight of the dense layers is mu + sigma eps, with factorised noise eps; what sigma should be is learned. Actions
are the best by one draw of the noise each, without epsilon-greedy. Keep the steps that were taken; every few of them
draw noise eps, eps' for the batch and descend

    L = E[ (R + gamma max_a Q(S',a; theta-, eps') - Q(S,A; theta, eps))^2 ]                                   (eq. 16)

where theta- is a copy of theta, renewed every C updates. Evaluation is by the means, without noise.

The paper's options, of its NoisyNet-Dueling: `double` takes the action from theta, with noise eps'' of its own, and its
value from theta- (eq. 17); `dueling` splits Q into V and A.

Beyond the paper: the error is clipped to +-1 (Huber's loss), Adam descends, the gradient is clipped by its norm; C
counts updates, and `target_rate` below 1 lets theta- follow slowly; before the first update actions are drawn evenly,
as in DQN. `Prioritised` experience replays what surprises; windows of n steps give n-step targets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Prioritised, Replay, fold
from bellmax.maths.chance import choose
from bellmax.maths.distributional import best_action, of_action, unless_over
from bellmax.maths.exploration import best, evenly, greedy
from bellmax.maths.optimise import clipped_adam, descend, follow, global_norm
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.maths.values import huber
from bellmax.networks.mlp import Activation
from bellmax.networks.noisy import drawn, noisy, quiet
from bellmax.networks.value_networks import QNetwork
from bellmax.ranges import Count, NonNegative, Positive, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    network: Any  # theta: a QNetwork with a mean and a deviation of every weight
    target: Any  # theta-
    opt_state: Any
    updates: Array  # so far: the clock of theta-
    steps: Array  # environment steps so far: the clock of the schedules


class NoisyDQN(Algorithm):
    """Deep Q-learning that explores by noise in its weights."""

    experience: Replay | Prioritised = Replay(capacity=100_000, batch=128, start=1_000)  # what it learns from
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 2.5e-4  # Adam's
    target_every: Count = 500  # C: updates between two renewals of the target
    target_rate: Unit = 1.0  # how far the target then moves towards the network
    sigma: NonNegative = 0.5  # sigma_0: the noise at first
    double: bool = True  # choose the next action by the network, not the target
    dueling: bool = False  # Q = V + A - mean A
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (128, 128)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        network_key, noise_key = jax.random.split(key)
        plain = QNetwork(network_key, spec.obs, spec.action, self.hidden, self.activation, self.dueling)
        network = noisy(plain, noise_key, self.sigma)
        opt_state = clipped_adam(self.max_grad_norm).init(network)
        return State(network, jax.tree.map(jnp.copy, network), opt_state, jnp.int32(0), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        noise_key, choice_key = jax.random.split(key)
        q, legal = drawn(state.network, noise_key)(obs), legal_of(obs)
        return Decision(choose(jnp.where(state.steps == 0, evenly(q, legal), greedy(q, legal)), choice_key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(quiet(state.network)(obs), legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        next_key, noise_key = jax.random.split(key)
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        target = batch.reward + batch.discount * self.next_value(state, batch.next_obs, next_key)
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, batch, target, noise_key)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        updates = state.updates + 1
        renewed = follow(state.target, network, self.target_rate * (updates % self.target_every == 0))
        return State(network, renewed, opt_state, updates, steps), metrics | {"grad_norm": global_norm(grads)}

    def next_value(self, state: State, next_obs: Any, key: Array) -> Array:
        """max_a Q(S',a), the action chosen by the network if `double` -> [batch]."""
        target_key, choice_key = jax.random.split(key)
        q = jax.vmap(drawn(state.target, target_key))(next_obs)
        if not self.double:
            return best(q, legal_of(next_obs))
        by_network, legal = jax.vmap(drawn(state.network, choice_key))(next_obs), legal_of(next_obs)
        return unless_over(of_action(q, best_action(by_network, legal)), legal)

    def loss(self, network: Any, batch: Transition, target: Array, key: Array) -> tuple[Array, dict[str, Array]]:
        value = of_action(jax.vmap(drawn(network, key))(batch.obs), batch.action)
        td_error = target - value
        terms = {"loss": huber(td_error), "td_error": jnp.abs(td_error), "value": value}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["loss"], means | {"priority": jnp.abs(td_error)}
