"""R2D2: recurrent replay distributed DQN (Kapturowski et al., 2019), https://openreview.net/forum?id=r1lyTjAqYX.

A Q-network with a memory learns from stretches of experience. It begins each with the memory that was stored with its
first step, reads `burn_in` steps to bring that up to date, and descends on the steps behind them (section 2.3)

    L   = E[ (y_t - Q(s_t, a_t; theta))^2 / 2 ]
    y_t = h( R_t + gamma R_t+1 + ... + gamma^n h^-1(Q(s_t+n, a*; theta-)) ),  a* = argmax_a Q(s_t+n, a; theta)

with h(x) = sign(x) (sqrt(|x| + 1) - 1) + epsilon x instead of clipped rewards, and theta- a copy of theta, renewed
every `target_every` updates. Q = V + A - mean A. No gradient goes through the burn-in.

With `PrioritisedSequences` stretches are drawn by the priority p = eta max_t |y_t - Q| + (1 - eta) mean_t |y_t - Q|.

Beyond the paper: one learner without distributed actors, all exploring alike; unless asked, stretches are drawn evenly;
they go on over the end of an episode with a new memory, so that none is padded; the memory is a GRU unless `cell` says
otherwise, and sees no rewards or actions; the value behind a step is read with the memory of that moment; near a
stretch's end n is what is left of it; the gradient is clipped by its norm.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import PrioritisedSequences, Sequences
from bellmax.maths.chance import choose
from bellmax.maths.exploration import Boltzmann, EpsilonGreedy, greedy
from bellmax.maths.optimise import clipped_adam, descend, follow, global_norm
from bellmax.maths.returns import n_step_return
from bellmax.maths.schedules import Linear, Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.maths.values import rescale, restore, value_error
from bellmax.networks.encoder import Torso
from bellmax.networks.mlp import Activation, Dense
from bellmax.networks.recurrent import Recurrent
from bellmax.networks.value_networks import choices
from bellmax.ranges import Count, NonNegative, Positive, Sizes, Unit


class Network(eqx.Module):
    """A torso, a memory, and the two streams that read it: Q = V + A - mean A."""

    torso: Torso
    recurrent: Recurrent
    advantage: Dense
    value: Dense

    def __init__(
        self,
        key: Array,
        spec: Spec,
        hidden: tuple[int, ...],
        activation: Activation,
        size: int,
        kind: Literal["gru", "lstm"],
    ):
        torso_key, recurrent_key, advantage_key, value_key = jax.random.split(key, 4)
        self.torso = Torso(torso_key, spec.obs, hidden, activation)
        self.recurrent = Recurrent(recurrent_key, self.torso.size, size, kind)
        self.advantage = Dense(advantage_key, size, choices(spec.action))
        self.value = Dense(value_key, size, 1)

    def __call__(self, memory: Any, obs: Any) -> tuple[Any, Array]:
        """memory, obs -> memory, Q [actions]."""
        memory, features = self.recurrent(memory, self.torso(obs))
        return memory, self.q(features)

    def q(self, features: Array) -> Array:
        """What the memory holds [size] -> Q [actions]."""
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean()

    def read(self, memory: Any, obs: Any, begins: Array) -> tuple[Any, Any, Array]:
        """A stretch: memory, obs [time, ...], begins [time] -> the memory behind it, those behind its steps, and Q."""

        def step(memory: Any, now: tuple[Array, Array]) -> Any:
            features, begins = now
            memory = jax.tree.map(lambda fresh, old: jnp.where(begins, fresh, old), self.recurrent.begin(), memory)
            memory, features = self.recurrent(memory, features)
            return memory, (memory, features)

        memory, (memories, features) = jax.lax.scan(step, memory, (jax.vmap(self.torso)(obs), begins))
        return memory, memories, jax.vmap(self.q)(features)


class State(NamedTuple):
    """What has been learned."""

    network: Network  # theta
    target: Network  # theta-
    opt_state: Any
    updates: Array  # so far: the clock of theta-
    steps: Array  # environment steps so far: the clock of the schedules


class R2D2(Algorithm):
    """Recurrent dueling double deep Q-learning."""

    experience: Sequences | PrioritisedSequences = Sequences(
        capacity=100_000, batch=32, window=20, burn_in=10
    )  # what it learns from
    gamma: Unit = 0.997  # discount
    n: Count = 5  # steps until the value is trusted
    exploration: EpsilonGreedy | Boltzmann = EpsilonGreedy(Linear(1.0, 0.05))  # how actions are chosen while learning
    learning_rate: Scheduled = 5e-4  # Adam's
    target_every: Count = 500  # updates between two renewals of the target
    target_rate: Unit = 1.0  # how far the target then moves towards the network
    eta: Unit = 0.9  # how much of a stretch's priority is its largest error; the rest is its mean
    epsilon: NonNegative = 1e-3  # of h: how large values stay apart
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (64,)  # widths of the dense layers before the memory
    memory_size: Count = 64  # numbers in the memory
    cell: Literal["gru", "lstm"] = "gru"  # what remembers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        network = Network(key, spec, self.hidden, self.activation, self.memory_size, self.cell)
        opt_state = clipped_adam(self.max_grad_norm).init(network)
        return State(network, jax.tree.map(jnp.copy, network), opt_state, jnp.int32(0), jnp.zeros(()))

    def begin(self, state: State, obs: Any, key: Array) -> Any:
        return state.network.recurrent.begin()

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        after, q = state.network(memory, obs)
        probabilities = self.exploration.probabilities(q, jnp.zeros_like(q), state.steps, legal_of(obs))
        return Decision(choose(probabilities, key), {"memory": memory}, after)

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        memory, q = state.network(memory, obs)
        return Decision(choose(greedy(q, legal_of(obs)), key), {}, memory)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        target = self.target(state, batch)
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, batch, target)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        updates = state.updates + 1
        renewed = follow(state.target, network, self.target_rate * (updates % self.target_every == 0))
        new = State(network, renewed, opt_state, updates, batch.extras["steps"].max())
        return new, metrics | {"grad_norm": global_norm(grads)}

    def target(self, state: State, batch: Transition) -> Array:
        """y, [window, batch]."""
        learned = self.learned(batch)
        q, target_q = (self.next_q(network, batch) for network in (state.network, state.target))
        legal = legal_of(learned.next_obs)
        over = jax.vmap(jax.vmap(greedy))
        next_value = restore((over(q, legal) * target_q).sum(-1), self.epsilon)
        reward, discount = learned.reward, self.gamma * learned.discount
        return rescale(n_step_return(reward, discount, next_value, learned.last, self.n), self.epsilon)

    def next_q(self, network: Network, batch: Transition) -> Array:
        """Q behind every step, read with the memory of that moment -> [window, batch, actions]."""
        memories, _ = self.read(network, batch)
        return jax.vmap(jax.vmap(network))(memories, self.learned(batch).next_obs)[1]

    def loss(self, network: Network, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        q, learned = self.read(network, batch)[1], self.learned(batch)
        value = jnp.where(jnp.arange(q.shape[-1]) == learned.action[..., None], q, 0).sum(-1)
        terms = {"loss": value_error(value, target), "td_error": jnp.abs(target - value), "value": value}
        means = {name: weighted_mean(term, learned.weight) for name, term in terms.items()}
        return means["loss"], means | {"priority": self.surprise(terms["td_error"], learned.weight > 0)}

    def surprise(self, error: Array, real: Array) -> Array:
        """eta max |error| + (1 - eta) mean |error| over what is `real`, [window, batch] -> [batch]."""
        mean = (error * real).sum(0) / jnp.maximum(real.sum(0), 1)
        return self.eta * jnp.max(error, axis=0, initial=0.0, where=real) + (1 - self.eta) * mean

    def read(self, network: Network, batch: Transition) -> tuple[Any, Array]:
        """What is behind the burn-in -> the memories behind its steps [window, batch, ...], and Q."""
        begins = jnp.concatenate([jnp.zeros_like(batch.last[:1]), batch.last[:-1]])

        def stretch(memory: Any, part: slice) -> Any:
            rows = jax.tree.map(lambda x: x[part], (batch.obs, begins))
            return jax.vmap(network.read, (0, 1, 1), (0, 1, 1))(memory, *rows)

        stored = jax.tree.map(lambda x: x[0], batch.extras["memory"])
        warm = stretch(stored, slice(self.experience.burn_in))[0]
        return stretch(jax.lax.stop_gradient(warm), slice(self.experience.burn_in, None))[1:]

    def learned(self, batch: Transition) -> Transition:
        """What is behind the burn-in: [burn_in + window, batch] -> [window, batch]."""
        return jax.tree.map(lambda x: x[self.experience.burn_in :], batch)
