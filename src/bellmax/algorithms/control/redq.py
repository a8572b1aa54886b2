"""Randomised ensembled double Q-learning (Chen et al., 2021), https://arxiv.org/abs/2101.05982.

Soft actor-critic that learns G times from every step. Keep the steps that were taken; after every one, G times over,
descend on a batch drawn from those

    J_Q  = E[ (Q_i(S,A) - y)^2 ],  y = R + gamma (min_{j in M} Q'_j(S',a') - alpha log pi(a'|S')),  a' ~ pi

for N critics (algorithm 1), M being two of them drawn anew each time; the target critics Q' follow slowly. At the last
of the G times descend also

    J_pi = E[ alpha log pi(a|S) - 1/N sum_j Q_j(S,a) ],  a ~ pi, through the sample

and learn the temperature alpha as in SAC (Haarnoja et al., 2018): J_alpha = E[ -alpha (log pi(a|S) + target entropy) ].
G is `experience.updates`, where one step is collected at a time.

Beyond the paper, as in `SAC`: the gradient of J_alpha is taken by log alpha; actions are measured in -1 .. 1. What only
the last of the G times does is a loop of one turn or none (see `maths.delayed`), and its metrics count for all G.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Prioritised, Replay, fold
from bellmax.maths.delayed import when
from bellmax.maths.optimise import adam, descend, follow
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.actors import TanhActor
from bellmax.networks.ensemble import ensemble, some, values
from bellmax.networks.mlp import Activation
from bellmax.networks.value_networks import Critic
from bellmax.ranges import Count, NonNegative, Positive, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    actor: TanhActor  # pi
    critics: Critic  # Q, all N of them: every leaf is [N, ...]
    targets: Critic  # Q'
    log_alpha: Array  # the temperature's logarithm
    opt_states: tuple[Any, Any, Any]  # of the actor, the critics and the temperature
    updates: Array  # so far: the clock of the actor
    steps: Array  # environment steps so far, 0 before the first update


class REDQ(Algorithm):
    """Soft actor-critic with many critics and many updates a step."""

    experience: Replay | Prioritised = Replay(
        capacity=1_000_000, batch=256, start=5_000, updates=20
    )  # what it learns from
    gamma: Unit = 0.99  # discount
    tau: Unit = 0.005  # how fast the target critics follow
    learning_rate: Scheduled = 3e-4  # Adam's, of the actor and the temperature
    critic_learning_rate: Scheduled = 3e-4  # Adam's, of the critics
    critics: Count = 10  # N
    asked: Count = 2  # how many of them, drawn at random, say the target
    initial_alpha: Positive = 1.0  # the temperature at first
    learns_alpha: bool = True  # if not, it stays as it is
    entropy_scale: NonNegative = 1.0  # the target entropy is minus this for every dimension of the action
    hidden: Sizes = (256, 256)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        if self.asked > self.critics:
            raise ValueError(f"REDQ.asked = {self.asked}: there are {self.critics} critics; ask no more than those.")
        actor_key, critic_key = jax.random.split(key)
        actor = TanhActor(actor_key, spec.obs, spec.action, self.hidden, self.activation)
        make = lambda k: Critic(k, spec.obs, spec.action, self.hidden, self.activation)
        critics = ensemble(make, critic_key, self.critics)
        log_alpha = jnp.log(jnp.float32(self.initial_alpha))
        opt_states = adam().init(actor), adam().init(critics), adam().init(log_alpha)
        targets = jax.tree.map(jnp.copy, critics)
        return State(actor, critics, targets, log_alpha, opt_states, jnp.int32(0), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        policy_key, any_key = jax.random.split(key)
        chosen = state.actor(obs).sample(policy_key)
        anything = jax.random.uniform(any_key, chosen.shape, minval=-1.0)
        return Decision(state.actor.stretch(jnp.where(state.steps == 0, anything, chosen)))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.actor.stretch(state.actor(obs).mode()))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        target_key, actor_key = jax.random.split(key)
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        actor_opt, critic_opt, alpha_opt = state.opt_states
        critic_rate = at(self.critic_learning_rate, state.steps)

        target = self.target(state, batch, target_key)
        grads, metrics = jax.grad(self.critic_loss, has_aux=True)(state.critics, batch, target)
        critics, critic_opt = descend(adam(), state.critics, grads, critic_opt, critic_rate)

        def also(kept: Any) -> Any:
            return self.improve(kept[0], critics, batch, actor_key, at(self.learning_rate, state.steps))

        updates, kept = state.updates + 1, (state.actor, state.log_alpha, actor_opt, alpha_opt)
        none = {"actor_loss": jnp.zeros(()), "entropy": jnp.zeros(())}
        kept, found = when(updates % self.experience.updates == 0, also, (kept, none))
        actor, log_alpha, actor_opt, alpha_opt = kept
        targets, opt_states = follow(state.targets, critics, self.tau), (actor_opt, critic_opt, alpha_opt)
        new = State(actor, critics, targets, log_alpha, opt_states, updates, steps)
        return new, metrics | found | {"alpha": jnp.exp(state.log_alpha)}

    def target(self, state: State, batch: Transition, key: Array) -> Array:
        """y, [batch]."""
        policy_key, subset_key = jax.random.split(key)
        action, log_prob = state.actor.draw(batch.next_obs, policy_key)
        asked = jax.random.choice(subset_key, self.critics, (self.asked,), replace=False)
        next_value = values(some(state.targets, asked), batch.next_obs, action).min(0)
        return batch.reward + batch.discount * (next_value - jnp.exp(state.log_alpha) * log_prob)

    def critic_loss(self, critics: Critic, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        q = values(critics, batch.obs, batch.action)
        td_error = jnp.abs(q - target).mean(0)
        terms = {"critic_loss": value_error(q, target).sum(0), "value": q.mean(0), "td_error": td_error}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["critic_loss"], means | {"priority": td_error}

    def improve(self, kept: Any, critics: Critic, batch: Transition, key: Array, rate: float | Array) -> Any:
        """One step of the actor and the temperature -> (both, and their optimisers' states), metrics."""
        actor, log_alpha, actor_opt, alpha_opt = kept
        loss = jax.value_and_grad(self.actor_loss, has_aux=True)
        (actor_loss, log_prob), grads = loss(actor, critics, jnp.exp(log_alpha), batch, key)
        actor, actor_opt = descend(adam(), actor, grads, actor_opt, rate)
        grads = jax.grad(self.alpha_loss)(log_alpha, log_prob, batch)
        log_alpha, alpha_opt = descend(adam(), log_alpha, grads, alpha_opt, rate * self.learns_alpha)
        found = {"actor_loss": actor_loss, "entropy": weighted_mean(-log_prob, batch.weight)}
        return (actor, log_alpha, actor_opt, alpha_opt), jax.tree.map(lambda x: x * self.experience.updates, found)

    def actor_loss(self, actor: TanhActor, critics: Critic, alpha: Array, batch: Transition, key: Array) -> Any:
        action, log_prob = actor.draw(batch.obs, key)
        value = values(critics, batch.obs, action).mean(0)
        return weighted_mean(alpha * log_prob - value, batch.weight), log_prob

    def alpha_loss(self, log_alpha: Array, log_prob: Array, batch: Transition) -> Array:
        target_entropy = -self.entropy_scale * batch.action.shape[-1]
        return -log_alpha * weighted_mean(log_prob + target_entropy, batch.weight)
