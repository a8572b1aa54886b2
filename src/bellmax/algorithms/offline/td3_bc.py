"""TD3+BC (Fujimoto & Gu, 2021), https://arxiv.org/abs/2106.06860: TD3 that stays near what was chosen.

TD3 on logged steps, with two changes. The actor ascends, instead of Q_1 alone,

    E[ lambda Q_1(S, mu(S)) - (mu(S) - A)^2 ],  lambda = alpha / mean |Q_1(S, mu(S))|                    (eqs. 3 to 5)

where lambda is a number to the gradient; and observations are standardised by the mean and deviation of all that were
logged (eq. 6). The rest is TD3: y = R + gamma min_j Q'_j(S', a'), a' = mu'(S') + clip(noise, -c, c); every d-th
update the actor, and all targets, Q' <- Q' + tau (Q - Q').

Beyond the paper: actions, and distances between them, are measured in -1 .. 1; what d-th updates do is a loop
of one turn or none (see `maths.delayed`), and "actor_loss" and "distance" count for all d.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Dataset, Replay, fold
from bellmax.maths.delayed import when
from bellmax.maths.noise import smoothed
from bellmax.maths.optimise import adam, descend, follow
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.standardising import Seen, nothing_seen, standardised, take_in
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.actors import Actor
from bellmax.networks.bounds import to_box, to_unit
from bellmax.networks.mlp import Activation
from bellmax.networks.value_networks import Critic
from bellmax.ranges import Count, NonNegative, Sizes, Unit

Critics = tuple[Critic, Critic]


class State(NamedTuple):
    """What has been learned."""

    actor: Actor  # mu
    critics: Critics  # Q
    targets: tuple[Actor, Critics]  # mu', Q'
    seen: Seen  # means and variances of the observations
    opt_states: tuple[Any, Any]  # of the actor and the critics
    updates: Array  # so far: the clock of the actor
    steps: Array  # the clock of schedules


class TD3BC(Algorithm):
    """TD3 that stays near what was chosen."""

    experience: Dataset | Replay = Dataset(batch=256)  # what it learns from
    gamma: Unit = 0.99  # discount
    alpha: NonNegative = 2.5  # how much the value counts beside what was chosen; 0 clones
    tau: Unit = 0.005  # how fast the targets follow
    learning_rate: Scheduled = 3e-4  # Adam's, of the actor
    critic_learning_rate: Scheduled = 3e-4  # Adam's, of the critics
    target_noise: NonNegative = 0.2  # its standard deviation, in -1 .. 1
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
        return State(actor, (one, other), targets, nothing_seen(spec.obs), opt_states, jnp.int32(0), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.actor(standardised(state.seen, obs, jnp.inf)))

    def observe(self, state: State, fresh: Transition) -> State:
        return state._replace(seen=take_in(state.seen, fresh.obs, fresh.weight))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        obs, next_obs = (standardised(state.seen, x, jnp.inf) for x in (batch.obs, batch.next_obs))
        batch = batch._replace(obs=obs, next_obs=next_obs)
        (actor_opt, critic_opt), rate = state.opt_states, at(self.learning_rate, state.steps)
        critic_rate = at(self.critic_learning_rate, state.steps)

        target = self.target(state, batch, key)
        grads, metrics = jax.grad(self.critic_loss, has_aux=True)(state.critics, batch, target)
        critics, critic_opt = descend(adam(), state.critics, grads, critic_opt, critic_rate)

        def also(kept: Any) -> Any:
            actor, actor_opt, targets, _, _ = kept
            grads, (loss, distance) = jax.grad(self.actor_loss, has_aux=True)(actor, critics[0], batch)
            actor, actor_opt = descend(adam(), actor, grads, actor_opt, rate)
            told = loss * self.actor_every, distance * self.actor_every
            return actor, actor_opt, follow(targets, (actor, critics), self.tau), *told

        updates, kept = state.updates + 1, (state.actor, actor_opt, state.targets, jnp.zeros(()), jnp.zeros(()))
        actor, actor_opt, targets, loss, distance = when(updates % self.actor_every == 0, also, kept)
        new = State(actor, critics, targets, state.seen, (actor_opt, critic_opt), updates, steps)
        return new, metrics | {"actor_loss": loss, "distance": distance}

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
        td_error = 0.5 * (jnp.abs(one - target) + jnp.abs(other - target))
        terms = {"critic_loss": loss, "value": one, "td_error": td_error}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["critic_loss"], means

    def actor_loss(self, actor: Actor, critic: Critic, batch: Transition) -> Any:
        action = jax.vmap(actor)(batch.obs)
        value = jax.vmap(critic)(batch.obs, action)
        apart = to_unit(actor.space, action) - to_unit(actor.space, batch.action)
        distance = weighted_mean(jnp.square(apart).mean(-1), batch.weight)
        size = weighted_mean(jnp.abs(jax.lax.stop_gradient(value)), batch.weight)
        loss = distance - self.alpha / size * weighted_mean(value, batch.weight)
        return loss, (loss, distance)
