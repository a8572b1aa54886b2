"""PPO with a memory: proximal policy optimisation (Schulman et al., 2017, https://arxiv.org/abs/1707.06347) on a
recurrent network, as in section 5 of Mnih et al., 2016 (https://arxiv.org/abs/1602.01783).

The network reads h = cell(h, features(s)) and decides from h. What is ascended is PPO's objective (eq. 9); the
log-probabilities under the new weights are computed by reading the collected steps again, from the memory they began
with, with a fresh memory where an episode begins. Minibatches are taken over environments, so that their sequences
stay whole.

Beyond the papers: policy and value share the memory; orthogonal weights, standardised advantages, a clipped global
norm and Adam's epsilon of 1e-5 as in `ppo.py`. The value behind a time limit is read with the memory of that moment.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Steps
from bellmax.maths.batches import shuffled_minibatches
from bellmax.maths.divergences import kl_k3
from bellmax.maths.objectives import clipped_surrogate, is_clipped
from bellmax.maths.optimise import clipped_adam, descend, global_norm
from bellmax.maths.returns import gae
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import explained_variance, standardise, weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.encoder import Torso
from bellmax.networks.heads import Policy, PolicyHead
from bellmax.networks.mlp import Activation, Dense
from bellmax.networks.recurrent import Recurrent
from bellmax.ranges import Count, NonNegative, Positive, Sizes, Unit


class Network(eqx.Module):
    """A torso, a memory, and the two heads that read it."""

    torso: Torso
    recurrent: Recurrent
    head: PolicyHead
    value_head: Dense

    def __init__(
        self,
        key: Array,
        spec: Spec,
        hidden: tuple[int, ...],
        activation: Activation,
        size: int,
        kind: Literal["gru", "lstm"],
    ):
        torso_key, recurrent_key, head_key, value_key = jax.random.split(key, 4)
        self.torso = Torso(torso_key, spec.obs, hidden, activation)
        self.recurrent = Recurrent(recurrent_key, self.torso.size, size, kind)
        self.head = PolicyHead(head_key, size, spec.action)
        self.value_head = Dense(value_key, size, 1)

    def __call__(self, memory: Any, obs: Any) -> tuple[Any, Policy, Array]:
        """memory, obs -> memory, policy, value."""
        memory, features = self.recurrent(memory, self.torso(obs))
        return memory, self.head(features, obs), self.value_head(features)[0]

    def read(self, memory: Any, obs: Any, begins: Array) -> tuple[Any, Policy, Array]:
        """A sequence: memory, obs [time, ...], begins [time] -> the memory behind, policy and value at each step."""

        def step(memory: Any, now: tuple[Any, Array]) -> Any:
            obs, begins = now
            memory = jax.tree.map(lambda fresh, old: jnp.where(begins, fresh, old), self.recurrent.begin(), memory)
            memory, policy, value = self(memory, obs)
            return memory, (memory, policy, value)

        return jax.lax.scan(step, memory, (obs, begins))[1]


class State(NamedTuple):
    """What has been learned."""

    network: Network
    opt_state: Any
    steps: Array  # environment steps learned from: the clock of the schedules


class Sample(NamedTuple):
    """What the gradient steps need to know of each environment; leaves are [env, time, ...], `memory` [env, ...]."""

    memory: Any
    obs: Any
    begins: Array
    action: Array
    log_prob: Array
    advantage: Array
    target: Array
    weight: Array


class RecurrentPPO(Algorithm):
    """Proximal policy optimisation with a GRU or LSTM."""

    experience: Steps = Steps(128)  # T: steps of every environment between two updates
    gamma: Unit = 0.99  # discount
    gae_lambda: Unit = 0.95  # lambda: 0 trusts the value, 1 the sampled return
    clip: Scheduled = 0.2  # epsilon: how far the ratio may move
    value_weight: NonNegative = 0.5  # c1
    entropy_weight: Scheduled = 0.01  # c2
    epochs: Count = 4  # K: passes over the collected steps
    minibatches: Count = 4  # groups of environments an epoch is cut into
    learning_rate: Scheduled = 2.5e-4  # Adam's
    max_grad_norm: Positive = 0.5  # gradients longer than this are shortened to it
    hidden: Sizes = (64,)  # widths of the dense layers before the memory
    memory_size: Count = 64  # numbers in the memory
    cell: Literal["gru", "lstm"] = "gru"  # what remembers
    activation: Activation = "tanh"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        network = Network(key, spec, self.hidden, self.activation, self.memory_size, self.cell)
        return State(network, clipped_adam(self.max_grad_norm).init(network), jnp.zeros(()))

    def begin(self, state: State, obs: Any, key: Array) -> Any:
        return state.network.recurrent.begin()

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        after, policy, _ = state.network(memory, obs)
        action = policy.sample(key)
        return Decision(action, {"log_prob": policy.log_prob(action), "memory": memory}, after)

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        memory, policy, _ = state.network(memory, obs)
        return Decision(policy.mode(), {}, memory)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        samples = self.samples(state.network, batch)

        def epoch(state: State, key: Array) -> tuple[State, dict[str, Array]]:
            return jax.lax.scan(self.ascend, state, shuffled_minibatches(key, samples, self.minibatches))

        new, metrics = jax.lax.scan(epoch, state, jax.random.split(key, self.epochs))
        value = samples.target - samples.advantage
        metrics["explained_variance"] = explained_variance(value, samples.target, samples.weight)
        return new._replace(steps=state.steps + batch.weight.sum()), metrics

    def samples(self, network: Network, batch: Transition) -> Sample:
        """Advantages and returns under the policy that collected the batch, by environment."""
        memory = jax.tree.map(lambda x: x[0], batch.extras["memory"])
        begins = jnp.concatenate([jnp.zeros_like(batch.last[:1]), batch.last[:-1]])
        after, _, value = jax.vmap(network.read, (0, 1, 1), 1)(memory, batch.obs, begins)
        next_value = jax.vmap(jax.vmap(network))(after, batch.next_obs)[2]
        advantage = gae(batch.reward, self.gamma * batch.discount, value, next_value, batch.last, self.gae_lambda)
        rows = batch.obs, begins, batch.action, batch.extras["log_prob"], advantage, advantage + value, batch.weight
        return Sample(memory, *jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), rows))

    def ascend(self, state: State, piece: Sample) -> tuple[State, dict[str, Array]]:
        """One gradient step on the sequences of some environments."""
        piece = piece._replace(advantage=standardise(piece.advantage, piece.weight))
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, piece, state.steps)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        return State(network, opt_state, state.steps), metrics | {"grad_norm": global_norm(grads)}

    def loss(self, network: Network, piece: Sample, steps: Array) -> tuple[Array, dict[str, Array]]:
        clip = at(self.clip, steps)
        _, policy, value = jax.vmap(network.read)(piece.memory, piece.obs, piece.begins)
        log_prob = policy.log_prob(piece.action)
        terms = {
            "surrogate": clipped_surrogate(log_prob, piece.log_prob, piece.advantage, clip),
            "value_error": value_error(value, piece.target),
            "entropy": policy.entropy(),
            "kl": kl_k3(piece.log_prob, log_prob),
            "clip_fraction": is_clipped(log_prob, piece.log_prob, clip),
        }
        means = {name: weighted_mean(term, piece.weight) for name, term in terms.items()}
        objective = means["surrogate"] - self.value_weight * means["value_error"]
        objective += at(self.entropy_weight, steps) * means["entropy"]
        return -objective, means
