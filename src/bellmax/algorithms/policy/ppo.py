"""Proximal policy optimisation (Schulman et al., 2017), https://arxiv.org/abs/1707.06347.

Run the policy for T steps in N environments; then, for K epochs of minibatches, ascend

    L = E[ min(r A, clip(r, 1 - eps, 1 + eps) A) - c1 (V - G)^2 + c2 H ]            (eq. 9)

where r = pi(a|s) / pi_old(a|s), A is the GAE(lambda) advantage and G = A + V the return.

Beyond the paper, as in its authors' code: advantages are standardised in each minibatch, weights start orthogonal,
gradients are clipped by their global norm, Adam has epsilon 1e-5, and `clip_value` clips the change of the value
like the ratio. (V - G)^2 is halved. Time limits bootstrap from the true last observation. A normal policy's action
is stored as drawn; only the environment sees it cut to its bounds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Steps
from bellmax.maths.batches import flatten_time, shuffled_minibatches
from bellmax.maths.divergences import kl_k3
from bellmax.maths.objectives import clipped_surrogate, is_clipped
from bellmax.maths.optimise import clipped_adam, descend, global_norm
from bellmax.maths.returns import gae
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import explained_variance, standardise, weighted_mean
from bellmax.maths.values import clipped_value_error, value_error
from bellmax.networks.heads import ActorCritic
from bellmax.networks.mlp import Activation
from bellmax.ranges import Count, NonNegative, Positive, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    network: ActorCritic
    opt_state: Any
    steps: Array  # environment steps learned from: the clock of the schedules


class Sample(NamedTuple):
    """What one gradient step needs to know of each transition."""

    obs: Any
    action: Array
    log_prob: Array
    value: Array
    advantage: Array
    target: Array
    weight: Array


class PPO(Algorithm):
    """Proximal policy optimisation with a clipped surrogate, feed-forward."""

    experience: Steps = Steps(128)  # T: steps of every environment between two updates
    gamma: Unit = 0.99  # discount
    gae_lambda: Unit = 0.95  # lambda: 0 trusts the value, 1 the sampled return
    clip: Scheduled = 0.2  # epsilon: how far the ratio may move
    value_weight: NonNegative = 0.5  # c1
    entropy_weight: Scheduled = 0.01  # c2
    epochs: Count = 4  # K: passes over the collected steps
    minibatches: Count = 4  # pieces an epoch is cut into
    learning_rate: Scheduled = 2.5e-4  # Adam's
    max_grad_norm: Positive = 0.5  # gradients longer than this are shortened to it
    standardise_advantage: bool = True  # mean 0 and deviation 1 in each minibatch
    clip_value: bool = False  # clip the change of the value by `clip` too
    hidden: Sizes = (64, 64)  # widths of the dense layers
    activation: Activation = "tanh"  # between the dense layers
    shared: bool = False  # one torso for policy and value

    def init(self, key: Array, spec: Spec) -> State:
        network = ActorCritic(key, spec.obs, spec.action, self.hidden, self.activation, self.shared)
        return State(network, clipped_adam(self.max_grad_norm).init(network), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        policy = state.network.policy(obs)
        action = policy.sample(key)
        return Decision(action, {"log_prob": policy.log_prob(action)})

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.network.policy(obs).mode())

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        samples = flatten_time(self.samples(state.network, batch))

        def epoch(state: State, key: Array) -> tuple[State, dict[str, Array]]:
            return jax.lax.scan(self.ascend, state, shuffled_minibatches(key, samples, self.minibatches))

        new, metrics = jax.lax.scan(epoch, state, jax.random.split(key, self.epochs))
        metrics["explained_variance"] = explained_variance(samples.value, samples.target, samples.weight)
        return new._replace(steps=state.steps + batch.weight.sum()), metrics

    def samples(self, network: ActorCritic, batch: Transition) -> Sample:
        """Advantages and returns under the policy that collected the batch, [time, env]."""
        value = jax.vmap(jax.vmap(network.value))(batch.obs)
        next_value = jax.vmap(jax.vmap(network.value))(batch.next_obs)
        advantage = gae(batch.reward, self.gamma * batch.discount, value, next_value, batch.last, self.gae_lambda)
        log_prob = batch.extras["log_prob"]
        return Sample(batch.obs, batch.action, log_prob, value, advantage, advantage + value, batch.weight)

    def ascend(self, state: State, piece: Sample) -> tuple[State, dict[str, Array]]:
        """One gradient step on one minibatch."""
        if self.standardise_advantage:
            piece = piece._replace(advantage=standardise(piece.advantage, piece.weight))
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, piece, state.steps)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        return State(network, opt_state, state.steps), metrics | {"grad_norm": global_norm(grads)}

    def loss(self, network: ActorCritic, piece: Sample, steps: Array) -> tuple[Array, dict[str, Array]]:
        clip = at(self.clip, steps)
        policy, value = jax.vmap(network.policy)(piece.obs), jax.vmap(network.value)(piece.obs)
        log_prob = policy.log_prob(piece.action)
        terms = {
            "surrogate": clipped_surrogate(log_prob, piece.log_prob, piece.advantage, clip),
            "value_error": self.value_error(value, piece, clip),
            "entropy": policy.entropy(),
            "kl": kl_k3(piece.log_prob, log_prob),
            "clip_fraction": is_clipped(log_prob, piece.log_prob, clip),
        }
        means = {name: weighted_mean(term, piece.weight) for name, term in terms.items()}
        objective = means["surrogate"] - self.value_weight * means["value_error"]
        objective += at(self.entropy_weight, steps) * means["entropy"]
        return -objective, means

    def value_error(self, value: Array, piece: Sample, clip: float | Array) -> Array:
        if self.clip_value:
            return clipped_value_error(value, piece.value, piece.target, clip)
        return value_error(value, piece.target)
