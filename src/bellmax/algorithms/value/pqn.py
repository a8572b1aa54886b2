"""PQN: parallelised Q-network (Gallici et al., 2025), https://arxiv.org/abs/2407.04811.

Q-learning without replay and without a target network: layer norm keeps it stable. Run an epsilon-greedy policy for T
steps in N environments; then, for K epochs of minibatches, descend (algorithm 1)

    L = E[ (G - Q(S,A))^2 ],   G_t = R_t + gamma (lambda G_t+1 + (1 - lambda) max_a Q(S_t+1,a))

with G from the network as it was when the round began, and nothing flowing back over an episode's end.

Beyond the paper: the loss is halved; time limits bootstrap from the true last observation. As in its authors' code:
RAdam (Liu et al., 2020, https://arxiv.org/abs/1908.03265), gradients clipped by their global norm, layer norm before
every activation, in convolutions over the channels of each place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Steps
from bellmax.maths.batches import flatten_time, shuffled_minibatches
from bellmax.maths.chance import choose
from bellmax.maths.distributional import of_action
from bellmax.maths.exploration import Boltzmann, EpsilonGreedy, best, greedy
from bellmax.maths.optimise import descend, global_norm
from bellmax.maths.returns import lambda_return
from bellmax.maths.schedules import Linear, Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.maths.values import value_error
from bellmax.networks.mlp import Activation
from bellmax.networks.normed import normed
from bellmax.networks.value_networks import QNetwork
from bellmax.ranges import Count, Positive, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    network: QNetwork
    opt_state: Any
    steps: Array  # environment steps learned from: the clock of the schedules


class Sample(NamedTuple):
    """What one gradient step needs to know of each transition."""

    obs: Any
    action: Array
    target: Array
    weight: Array


class PQN(Algorithm):
    """Q-learning on lambda-returns of parallel environments, without replay or target network."""

    experience: Steps = Steps(32)  # T: steps of every environment between two updates
    gamma: Unit = 0.99  # discount
    q_lambda: Unit = 0.65  # lambda: 0 trusts the value, 1 the sampled return
    exploration: EpsilonGreedy | Boltzmann = EpsilonGreedy(Linear(1.0, 0.05))  # how actions are chosen while learning
    epochs: Count = 4  # K: passes over the collected steps
    minibatches: Count = 4  # pieces an epoch is cut into
    learning_rate: Scheduled = 2.5e-4  # RAdam's
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (128, 128)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        plain = QNetwork(key, spec.obs, spec.action, self.hidden, self.activation)
        network = eqx.tree_at(lambda plain: plain.torso, plain, normed(plain.torso))
        return State(network, self.optimizer().init(network), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q = state.network(obs)
        return Decision(choose(self.exploration.probabilities(q, jnp.zeros_like(q), state.steps, legal_of(obs)), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.network(obs), legal_of(obs)), key))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        target = self.target(state.network, batch)
        samples = flatten_time(Sample(batch.obs, batch.action, target, batch.weight))

        def epoch(state: State, key: Array) -> tuple[State, dict[str, Array]]:
            return jax.lax.scan(self.descend, state, shuffled_minibatches(key, samples, self.minibatches))

        new, metrics = jax.lax.scan(epoch, state, jax.random.split(key, self.epochs))
        return new._replace(steps=state.steps + batch.weight.sum()), metrics

    def target(self, network: QNetwork, batch: Transition) -> Array:
        """G, [time, env]."""
        next_value = best(jax.vmap(jax.vmap(network))(batch.next_obs), legal_of(batch.next_obs))
        return lambda_return(batch.reward, self.gamma * batch.discount, next_value, batch.last, self.q_lambda)

    def descend(self, state: State, piece: Sample) -> tuple[State, dict[str, Array]]:
        """One gradient step on one minibatch."""
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, piece)
        learning_rate = at(self.learning_rate, state.steps)
        network, opt_state = descend(self.optimizer(), state.network, grads, state.opt_state, learning_rate)
        return State(network, opt_state, state.steps), metrics | {"grad_norm": global_norm(grads)}

    def loss(self, network: QNetwork, piece: Sample) -> tuple[Array, dict[str, Array]]:
        value = of_action(jax.vmap(network)(piece.obs), piece.action)
        terms = {"loss": value_error(value, piece.target), "td_error": jnp.abs(piece.target - value), "value": value}
        means = {name: weighted_mean(term, piece.weight) for name, term in terms.items()}
        return means["loss"], means

    def optimizer(self) -> optax.GradientTransformation:
        """Gradients clipped by their global norm, then RAdam's direction, without a rate."""
        return optax.chain(optax.clip_by_global_norm(self.max_grad_norm), optax.scale_by_radam())
