"""Soft actor-critic (Haarnoja et al., 2018), https://arxiv.org/abs/1812.05905, with a learned temperature.

Keep the steps that were taken; after every one descend, on a batch drawn from those,

    J_Q     = E[ (Q_i(S,A) - y)^2 ],  y = R + gamma (min_j Q'_j(S',a') - alpha log pi(a'|S')),  a' ~ pi     (eqs. 5, 6)
    J_pi    = E[ alpha log pi(a|S) - min_j Q_j(S,a) ],  a ~ pi, through the sample                            (eq. 9)
    J_alpha = E[ -alpha (log pi(a|S) + target entropy) ]                                                     (eq. 18)

for two critics, and let the target critics Q' follow slowly: Q' <- Q' + tau (Q - Q').

Beyond the paper: the gradient of J_alpha is taken by log alpha; actions are measured in -1 .. 1, so that the entropy
and its target, -dim(A), do not depend on the environment's units; before the first update actions are drawn evenly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Hindsight, Prioritised, Replay, fold
from bellmax.maths.optimise import adam, descend, follow
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.actors import TanhActor
from bellmax.networks.mlp import Activation
from bellmax.networks.value_networks import Critic
from bellmax.ranges import NonNegative, Positive, Sizes, Unit

Critics = tuple[Critic, Critic]


class State(NamedTuple):
    """What has been learned."""

    actor: TanhActor  # pi
    critics: Critics  # Q
    targets: Critics  # Q'
    log_alpha: Array  # the temperature's logarithm
    opt_states: tuple[Any, Any, Any]  # of the actor, the critics and the temperature
    steps: Array  # environment steps so far, 0 before the first update


class SAC(Algorithm):
    """Soft actor-critic for continuous actions."""

    experience: Replay | Prioritised | Hindsight = Replay(
        capacity=1_000_000, batch=256, start=1_000
    )  # what it learns from
    gamma: Unit = 0.99  # discount
    tau: Unit = 0.005  # how fast the target critics follow
    learning_rate: Scheduled = 3e-4  # Adam's, of the actor and the temperature
    critic_learning_rate: Scheduled = 1e-3  # Adam's, of the critics
    initial_alpha: Positive = 1.0  # the temperature at first
    learns_alpha: bool = True  # if not, it stays as it is
    entropy_scale: NonNegative = 1.0  # the target entropy is minus this for every dimension of the action
    hidden: Sizes = (256, 256)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        actor_key, *critic_keys = jax.random.split(key, 3)
        actor = TanhActor(actor_key, spec.obs, spec.action, self.hidden, self.activation)
        one, other = (Critic(k, spec.obs, spec.action, self.hidden, self.activation) for k in critic_keys)
        log_alpha = jnp.log(jnp.float32(self.initial_alpha))
        opt_states = adam().init(actor), adam().init((one, other)), adam().init(log_alpha)
        targets = jax.tree.map(jnp.copy, (one, other))
        return State(actor, (one, other), targets, log_alpha, opt_states, jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        policy_key, any_key = jax.random.split(key)
        chosen = state.actor(obs).sample(policy_key)
        anything = jax.random.uniform(any_key, chosen.shape, minval=-1.0)
        return Decision(state.actor.stretch(jnp.where(state.steps == 0, anything, chosen)))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.actor.stretch(state.actor(obs).mode()))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        critic_key, actor_key = jax.random.split(key)
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        actor_opt, critic_opt, alpha_opt = state.opt_states
        rate, critic_rate = at(self.learning_rate, state.steps), at(self.critic_learning_rate, state.steps)

        target = self.target(state, batch, critic_key)
        grads, metrics = jax.grad(self.critic_loss, has_aux=True)(state.critics, batch, target)
        critics, critic_opt = descend(adam(), state.critics, grads, critic_opt, critic_rate)

        grads, (log_prob, found) = jax.grad(self.actor_loss, has_aux=True)(
            state.actor, critics, jnp.exp(state.log_alpha), batch, actor_key
        )
        actor, actor_opt = descend(adam(), state.actor, grads, actor_opt, rate)

        grads = jax.grad(self.alpha_loss)(state.log_alpha, log_prob, batch)
        log_alpha, alpha_opt = descend(adam(), state.log_alpha, grads, alpha_opt, rate * self.learns_alpha)
        targets = follow(state.targets, critics, self.tau)
        new = State(actor, critics, targets, log_alpha, (actor_opt, critic_opt, alpha_opt), steps)
        return new, metrics | found | {"alpha": jnp.exp(state.log_alpha)}

    def target(self, state: State, batch: Transition, key: Array) -> Array:
        """y, [batch]."""
        action, log_prob = state.actor.draw(batch.next_obs, key)
        next_value = jnp.minimum(*(jax.vmap(critic)(batch.next_obs, action) for critic in state.targets))
        return batch.reward + batch.discount * (next_value - jnp.exp(state.log_alpha) * log_prob)

    def critic_loss(self, critics: Critics, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        one, other = (jax.vmap(critic)(batch.obs, batch.action) for critic in critics)
        loss = value_error(one, target) + value_error(other, target)
        terms = {"critic_loss": loss, "value": one, "td_error": 0.5 * (jnp.abs(one - target) + jnp.abs(other - target))}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["critic_loss"], means | {"priority": terms["td_error"]}

    def actor_loss(self, actor: TanhActor, critics: Critics, alpha: Array, batch: Transition, key: Array) -> Any:
        action, log_prob = actor.draw(batch.obs, key)
        value = jnp.minimum(*(jax.vmap(critic)(batch.obs, action) for critic in critics))
        loss = weighted_mean(alpha * log_prob - value, batch.weight)
        return loss, (log_prob, {"actor_loss": loss, "entropy": weighted_mean(-log_prob, batch.weight)})

    def alpha_loss(self, log_alpha: Array, log_prob: Array, batch: Transition) -> Array:
        target_entropy = -self.entropy_scale * batch.action.shape[-1]
        return -log_alpha * weighted_mean(log_prob + target_entropy, batch.weight)
