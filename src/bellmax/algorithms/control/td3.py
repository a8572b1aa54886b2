"""Twin delayed deep deterministic policy gradient (Fujimoto et al., 2018), https://arxiv.org/abs/1802.09477.

DDPG with three changes. Keep the steps that were taken; after every one descend, on a batch drawn from those,

    L = E[ (Q_i(S,A) - y)^2 ],  y = R + gamma min_j Q'_j(S',a'),                                       (algorithm 1)
    a' = mu'(S') + clip(noise, -c, c),  noise ~ N(0, sigma)

for two critics: the smaller target is taken, and actions near mu'(S') have similar values. Only every d-th update
ascends E[ Q_1(S, mu(S)) ] by the parameters of mu, and moves all targets: Q' <- Q' + tau (Q - Q'), and mu' alike.

As in the authors' later code (https://github.com/sfujim/TD3): two layers of 256 for both, the action enters the
critics' first layer. Beyond it: noise of both kinds is measured, and what comes of it cut, where actions reach from -1
to 1; what d-th updates do is a loop of one turn or none (see `maths.delayed`), and "actor_loss" counts for all d.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Hindsight, Prioritised, Replay, fold
from bellmax.maths.delayed import when
from bellmax.maths.noise import GaussianNoise, OrnsteinUhlenbeck, smoothed
from bellmax.maths.optimise import adam, descend, follow
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.actors import Actor
from bellmax.networks.bounds import numbers, to_box, to_unit
from bellmax.networks.mlp import Activation
from bellmax.networks.value_networks import Critic
from bellmax.ranges import Count, NonNegative, Sizes, Unit

Critics = tuple[Critic, Critic]


class State(NamedTuple):
    """What has been learned."""

    actor: Actor  # mu
    critics: Critics  # Q
    targets: tuple[Actor, Critics]  # mu', Q'
    opt_states: tuple[Any, Any]  # of the actor and the critics
    updates: Array  # so far: the clock of the actor
    steps: Array  # environment steps so far, 0 before the first update


class TD3(Algorithm):
    """Twin delayed deep deterministic policy gradient."""

    experience: Replay | Prioritised | Hindsight = Replay(
        capacity=1_000_000, batch=256, start=1_000
    )  # what it learns from
    gamma: Unit = 0.99  # discount
    tau: Unit = 0.005  # how fast the targets follow
    learning_rate: Scheduled = 1e-3  # Adam's, of the actor
    critic_learning_rate: Scheduled = 1e-3  # Adam's, of the critics
    noise: GaussianNoise | OrnsteinUhlenbeck = GaussianNoise(std=0.1)  # added to actions in -1 .. 1
    target_noise: NonNegative = 0.2  # sigma: its standard deviation, in -1 .. 1
    target_noise_clip: NonNegative = 0.5  # c: how large it is at most
    actor_every: Count = 2  # d: updates between two of the actor and the targets
    hidden: Sizes = (256, 256)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        actor_key, *critic_keys = jax.random.split(key, 3)
        actor = Actor(actor_key, spec.obs, spec.action, self.hidden, self.activation)
        one, other = (Critic(k, spec.obs, spec.action, self.hidden, self.activation) for k in critic_keys)
        opt_states = adam().init(actor), adam().init((one, other))
        targets = jax.tree.map(jnp.copy, (actor, (one, other)))
        return State(actor, (one, other), targets, opt_states, jnp.int32(0), jnp.zeros(()))

    def begin(self, state: State, obs: Any, key: Array) -> Any:
        return self.noise.begin(numbers(state.actor.space).shape[0])

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        noise_key, any_key = jax.random.split(key)
        noise, memory = self.noise.draw(memory, noise_key, state.steps)
        chosen = jnp.clip(to_unit(state.actor.space, state.actor(obs)) + noise, -1, 1)
        anything = jax.random.uniform(any_key, chosen.shape, minval=-1.0)
        unit = jnp.where(state.steps == 0, anything, chosen)
        return Decision(to_box(state.actor.space, unit), memory=memory)

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.actor(obs), memory=memory)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        (actor_opt, critic_opt), rate = state.opt_states, at(self.learning_rate, state.steps)
        critic_rate = at(self.critic_learning_rate, state.steps)

        target = self.target(state, batch, key)
        grads, metrics = jax.grad(self.critic_loss, has_aux=True)(state.critics, batch, target)
        critics, critic_opt = descend(adam(), state.critics, grads, critic_opt, critic_rate)

        def also(kept: Any) -> Any:
            actor, actor_opt, targets, _ = kept
            loss, grads = jax.value_and_grad(self.actor_loss)(actor, critics[0], batch)
            actor, actor_opt = descend(adam(), actor, grads, actor_opt, rate)
            return actor, actor_opt, follow(targets, (actor, critics), self.tau), loss * self.actor_every

        updates, kept = state.updates + 1, (state.actor, actor_opt, state.targets, jnp.zeros(()))
        actor, actor_opt, targets, actor_loss = when(updates % self.actor_every == 0, also, kept)
        new = State(actor, critics, targets, (actor_opt, critic_opt), updates, steps)
        return new, metrics | {"actor_loss": actor_loss}

    def target(self, state: State, batch: Transition, key: Array) -> Array:
        """y, [batch]."""
        actor, critics = state.targets
        chosen = to_unit(actor.space, jax.vmap(actor)(batch.next_obs))
        action = to_box(actor.space, smoothed(chosen, key, self.target_noise, self.target_noise_clip))
        next_value = jnp.minimum(*(jax.vmap(critic)(batch.next_obs, action) for critic in critics))
        return batch.reward + batch.discount * next_value

    def critic_loss(self, critics: Critics, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        one, other = (jax.vmap(critic)(batch.obs, batch.action) for critic in critics)
        loss = value_error(one, target) + value_error(other, target)
        terms = {"critic_loss": loss, "value": one, "td_error": 0.5 * (jnp.abs(one - target) + jnp.abs(other - target))}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["critic_loss"], means | {"priority": terms["td_error"]}

    def actor_loss(self, actor: Actor, critic: Critic, batch: Transition) -> Array:
        value = jax.vmap(lambda obs: critic(obs, actor(obs)))(batch.obs)
        return weighted_mean(-value, batch.weight)
