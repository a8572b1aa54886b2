"""Deep Q-learning (Mnih et al., 2015), https://doi.org/10.1038/nature14236.

Keep the steps that were taken; every few of them descend, on a batch drawn from those, the loss

    L = E[ (R + gamma max_a Q(S',a; theta-) - Q(S,A; theta))^2 ]                                   (algorithm 1)

where theta- is a copy of theta, renewed every C updates. The error is clipped to +-1 (Huber's loss).

The papers' options: `double` takes the action from theta and its value from theta- (van Hasselt et al., 2016,
https://arxiv.org/abs/1509.06461, eq. 4); `dueling` splits Q into V and A (Wang et al., 2016,
https://arxiv.org/abs/1511.06581, eq. 9). `Prioritised` experience replays what surprises (Schaul et al., 2016); windows
of n steps give n-step targets.

Beyond the paper: Adam instead of RMSprop; C counts updates, and `target_rate` below 1 lets theta- follow slowly; the
gradient is clipped by its norm; importance weights are averaged by, so that they change no step's size; double is on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Hindsight, Prioritised, Replay, fold
from bellmax.maths.chance import choose
from bellmax.maths.distributional import best_action, of_action, unless_over
from bellmax.maths.exploration import Boltzmann, EpsilonGreedy, best, greedy
from bellmax.maths.optimise import clipped_adam, descend, follow, global_norm
from bellmax.maths.schedules import Linear, Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.maths.values import huber
from bellmax.networks.mlp import Activation
from bellmax.networks.value_networks import QNetwork
from bellmax.ranges import Count, Positive, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    network: QNetwork  # theta
    target: QNetwork  # theta-
    opt_state: Any
    updates: Array  # so far: the clock of theta-
    steps: Array  # environment steps so far: the clock of the schedules


class DQN(Algorithm):
    """Deep Q-learning, with double, dueling, n-step and prioritised as options."""

    experience: Replay | Prioritised | Hindsight = Replay(
        capacity=100_000, batch=128, start=1_000
    )  # what it learns from
    gamma: Unit = 0.99  # discount
    exploration: EpsilonGreedy | Boltzmann = EpsilonGreedy(Linear(1.0, 0.05))  # how actions are chosen while learning
    learning_rate: Scheduled = 2.5e-4  # Adam's
    target_every: Count = 500  # C: updates between two renewals of the target
    target_rate: Unit = 1.0  # how far the target then moves towards the network
    double: bool = True  # choose the next action by the network, not the target
    dueling: bool = False  # Q = V + A - mean A
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (128, 128)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        network = QNetwork(key, spec.obs, spec.action, self.hidden, self.activation, self.dueling)
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
        """max_a Q(S',a), the action chosen by the network if `double` -> [batch]."""
        q = jax.vmap(state.target)(next_obs)
        if not self.double:
            return best(q, legal_of(next_obs))
        chosen = best_action(jax.vmap(state.network)(next_obs), legal_of(next_obs))
        return unless_over(of_action(q, chosen), legal_of(next_obs))

    def loss(self, network: QNetwork, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        value = of_action(jax.vmap(network)(batch.obs), batch.action)
        td_error = target - value
        terms = {"loss": huber(td_error), "td_error": jnp.abs(td_error), "value": value}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["loss"], means | {"priority": jnp.abs(td_error)}
