"""CrossQ (Bhatt et al., 2024), https://openreview.net/forum?id=PczQtTsTIX.

Soft actor-critic without target networks: batch renormalisation (Ioffe, 2017) in wide critics takes their place. Keep
the steps that were taken; after every one descend, on a batch drawn from those,

    Q_i(S,A), Q_i(S',a') = Q_i of both rows in ONE pass, normalised by their joint statistics,  a' ~ pi       (figure 2)
    J_Q  = E[ (Q_i(S,A) - y)^2 ],  y = R + gamma (min_j Q_j(S',a') - alpha log pi(a'|S')),  no gradient through y

for two critics, and every third time

    J_pi = E[ alpha log pi(a|S) - min_j Q_j(S,a) ],  a ~ pi, through the sample

where the critics are normalised by their running statistics, the actor by those of its batch; a' and actions come
from running statistics. The temperature is learned as in SAC: J_alpha = E[ -alpha (log pi(a|S) + target entropy) ].

As in the authors' code (https://github.com/adityab/CrossQ): what goes into each dense layer is renormalised; Adam's b1
is 0.5 for actor and critics. Beyond it: critics 1024 wide, not 2048; as in `SAC`, the gradient of J_alpha is taken by
log alpha and actions are measured in -1 .. 1; what every third update does is a loop of one turn or none (see
`maths.delayed`), and its metrics count for all three.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Prioritised, Replay, fold
from bellmax.maths.delayed import when
from bellmax.maths.distributions import TanhNormal
from bellmax.maths.optimise import adam, descend
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.batch_renorm import Running
from bellmax.networks.mlp import Activation
from bellmax.networks.renorm_networks import RenormActor, RenormCritic
from bellmax.ranges import Count, NonNegative, Positive, Sizes, Unit

Critics = tuple[RenormCritic, RenormCritic]
Seen = tuple[list[Running], list[Running]]  # by the one and by the other critic


class State(NamedTuple):
    """What has been learned."""

    actor: RenormActor  # pi
    critics: Critics  # Q
    actor_seen: list[Running]  # running statistics of what goes into the layers
    critics_seen: Seen
    log_alpha: Array  # the temperature's logarithm
    opt_states: tuple[Any, Any, Any]  # of the actor, the critics and the temperature
    updates: Array  # so far: the clock of the actor
    steps: Array  # environment steps so far, 0 before the first update


class CrossQ(Algorithm):
    """Soft actor-critic with batch renormalisation and without targets."""

    experience: Replay | Prioritised = Replay(capacity=1_000_000, batch=256, start=5_000)  # what it learns from
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 1e-3  # Adam's, of the actor and the temperature
    critic_learning_rate: Scheduled = 1e-3  # Adam's, of the critics
    beta1: Unit = 0.5  # how long Adam's mean of the gradients remembers
    actor_every: Count = 3  # updates between two of the actor and the temperature
    initial_alpha: Positive = 1.0  # the temperature at first
    learns_alpha: bool = True  # if not, it stays as it is
    entropy_scale: NonNegative = 1.0  # the target entropy is minus this for every dimension of the action
    hidden: Sizes = (256, 256)  # widths of the actor's dense layers
    critic_hidden: Sizes = (1024, 1024)  # widths of the critics' dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        actor_key, *critic_keys = jax.random.split(key, 3)
        actor = RenormActor(actor_key, spec.obs, spec.action, self.hidden, self.activation)
        one, other = (RenormCritic(k, spec.obs, spec.action, self.critic_hidden, self.activation) for k in critic_keys)
        log_alpha = jnp.log(jnp.float32(self.initial_alpha))
        opt_states = adam().init(actor), adam().init((one, other)), adam().init(log_alpha)
        seen = actor.mlp.begin(), (one.mlp.begin(), other.mlp.begin())
        return State(actor, (one, other), *seen, log_alpha, opt_states, jnp.int32(0), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        policy_key, any_key = jax.random.split(key)
        chosen = state.actor(obs, state.actor_seen).sample(policy_key)
        anything = jax.random.uniform(any_key, chosen.shape, minval=-1.0)
        return Decision(state.actor.stretch(jnp.where(state.steps == 0, anything, chosen)))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.actor.stretch(state.actor(obs, state.actor_seen).mode()))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        critic_key, actor_key = jax.random.split(key)
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        actor_opt, critic_opt, alpha_opt = state.opt_states
        critic_rate = at(self.critic_learning_rate, state.steps)

        grads, (critics_seen, metrics) = jax.grad(self.critic_loss, has_aux=True)(
            state.critics, state, batch, critic_key
        )
        critics, critic_opt = descend(self.adam(), state.critics, grads, critic_opt, critic_rate)

        def also(kept: Any) -> Any:
            rate = at(self.learning_rate, state.steps)
            return self.improve(kept[0], critics, critics_seen, batch, actor_key, rate)

        updates, kept = state.updates + 1, (state.actor, state.actor_seen, state.log_alpha, actor_opt, alpha_opt)
        none = {"actor_loss": jnp.zeros(()), "entropy": jnp.zeros(())}
        kept, found = when(updates % self.actor_every == 0, also, (kept, none))
        actor, actor_seen, log_alpha, actor_opt, alpha_opt = kept
        opt_states = actor_opt, critic_opt, alpha_opt
        new = State(actor, critics, actor_seen, critics_seen, log_alpha, opt_states, updates, steps)
        return new, metrics | found | {"alpha": jnp.exp(state.log_alpha)}

    def adam(self) -> optax.GradientTransformation:
        return optax.scale_by_adam(b1=self.beta1)

    def critic_loss(self, critics: Critics, state: State, batch: Transition, key: Array) -> Any:
        """-> loss, (the critics' statistics moved, metrics)."""
        policy = jax.vmap(state.actor, (0, None))(batch.next_obs, state.actor_seen)
        next_action, log_prob = self.draw(state.actor, policy, key)
        obs = jax.tree.map(lambda *x: jnp.concatenate(x), batch.obs, batch.next_obs)
        action, weight = jnp.concatenate([batch.action, next_action]), jnp.tile(batch.weight, 2)
        pairs = [c.learning(obs, action, seen, weight) for c, seen in zip(critics, state.critics_seen)]
        q, next_q = jnp.split(jnp.stack([q for q, _ in pairs]), 2, axis=1)
        next_value = next_q.min(0) - jnp.exp(state.log_alpha) * log_prob
        target = jax.lax.stop_gradient(batch.reward + batch.discount * next_value)
        td_error = jnp.abs(q - target).mean(0)
        terms = {"critic_loss": value_error(q, target).sum(0), "value": q.mean(0), "td_error": td_error}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["critic_loss"], (tuple(seen for _, seen in pairs), means | {"priority": td_error})

    def improve(
        self, kept: Any, critics: Critics, critics_seen: Seen, batch: Transition, key: Array, rate: float | Array
    ) -> Any:
        """One step of the actor and the temperature -> (both, and what belongs to them), metrics."""
        actor, actor_seen, log_alpha, actor_opt, alpha_opt = kept

        def actor_loss(actor: RenormActor) -> Any:
            policy, moved = actor.learning(batch.obs, actor_seen, batch.weight)
            action, log_prob = self.draw(actor, policy, key)
            value = jnp.minimum(*(c(batch.obs, action, seen) for c, seen in zip(critics, critics_seen)))
            return weighted_mean(jnp.exp(log_alpha) * log_prob - value, batch.weight), (log_prob, moved)

        (loss, (log_prob, moved)), grads = jax.value_and_grad(actor_loss, has_aux=True)(actor)
        actor, actor_opt = descend(self.adam(), actor, grads, actor_opt, rate)
        grads = jax.grad(self.alpha_loss)(log_alpha, log_prob, batch)
        log_alpha, alpha_opt = descend(adam(), log_alpha, grads, alpha_opt, rate * self.learns_alpha)
        found = {"actor_loss": loss, "entropy": weighted_mean(-log_prob, batch.weight)}
        found = jax.tree.map(lambda x: x * self.actor_every, found)
        return (actor, moved, log_alpha, actor_opt, alpha_opt), found

    def alpha_loss(self, log_alpha: Array, log_prob: Array, batch: Transition) -> Array:
        target_entropy = -self.entropy_scale * batch.action.shape[-1]
        return -log_alpha * weighted_mean(log_prob + target_entropy, batch.weight)

    def draw(self, actor: RenormActor, policy: TanhNormal, key: Array) -> tuple[Array, Array]:
        """Actions of the box and their log-densities in -1 .. 1, one a policy: [batch, actions], [batch]."""
        unit, log_prob = TanhNormal(policy.mean, policy.log_std).sample_with_log_prob(key)
        return actor.stretch(unit), log_prob
