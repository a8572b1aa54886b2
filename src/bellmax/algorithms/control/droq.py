"""Dropout Q-functions (Hiraoka et al., 2022), https://arxiv.org/abs/2110.02034.

REDQ with two critics instead of ten: dropout and layer normalisation in each make up for the others. Keep the steps
that were taken; after every one, G times over, descend on a batch drawn from those

    J_Q  = E[ (Q_i(S,A) - y)^2 ],  y = R + gamma (min_j Q'_j(S',a') - alpha log pi(a'|S')),  a' ~ pi   (algorithm 2)

for both critics; the targets Q' follow slowly. At the last of the G times descend also

    J_pi = E[ alpha log pi(a|S) - 1/2 sum_j Q_j(S,a) ],  a ~ pi, through the sample

and learn the temperature alpha as in SAC (Haarnoja et al., 2018): J_alpha = E[ -alpha (log pi(a|S) + target entropy) ].
Units are dropped in Q and Q' wherever they stand above, anew for every row. G is `experience.updates`, where one step
is collected at a time.

Beyond the paper, as in `SAC`: the gradient of J_alpha is taken by log alpha; actions are measured in -1 .. 1. What only
the last of the G times does is a loop of one turn or none (see `maths.delayed`), and its metrics count for all G.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

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
from bellmax.networks.mlp import Activation
from bellmax.networks.normed_critic import NormedCritic
from bellmax.ranges import NonNegative, Positive, Range, Sizes, Unit

Critics = tuple[NormedCritic, NormedCritic]


class State(NamedTuple):
    """What has been learned."""

    actor: TanhActor  # pi
    critics: Critics  # Q
    targets: Critics  # Q'
    log_alpha: Array  # the temperature's logarithm
    opt_states: tuple[Any, Any, Any]  # of the actor, the critics and the temperature
    updates: Array  # so far: the clock of the actor
    steps: Array  # environment steps so far, 0 before the first update


class DroQ(Algorithm):
    """Soft actor-critic with dropout, layer normalisation and many updates a step."""

    experience: Replay | Prioritised = Replay(
        capacity=1_000_000, batch=256, start=5_000, updates=20
    )  # what it learns from
    gamma: Unit = 0.99  # discount
    tau: Unit = 0.005  # how fast the target critics follow
    learning_rate: Scheduled = 3e-4  # Adam's, of the actor and the temperature
    critic_learning_rate: Scheduled = 3e-4  # Adam's, of the critics
    dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.01  # probability with which a unit is left out
    initial_alpha: Positive = 1.0  # the temperature at first
    learns_alpha: bool = True  # if not, it stays as it is
    entropy_scale: NonNegative = 1.0  # the target entropy is minus this for every dimension of the action
    hidden: Sizes = (256, 256)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        actor_key, *critic_keys = jax.random.split(key, 3)
        actor = TanhActor(actor_key, spec.obs, spec.action, self.hidden, self.activation)
        one, other = (NormedCritic(k, spec.obs, spec.action, self.hidden, self.activation) for k in critic_keys)
        log_alpha = jnp.log(jnp.float32(self.initial_alpha))
        opt_states = adam().init(actor), adam().init((one, other)), adam().init(log_alpha)
        targets = jax.tree.map(jnp.copy, (one, other))
        return State(actor, (one, other), targets, log_alpha, opt_states, jnp.int32(0), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        policy_key, any_key = jax.random.split(key)
        chosen = state.actor(obs).sample(policy_key)
        anything = jax.random.uniform(any_key, chosen.shape, minval=-1.0)
        return Decision(state.actor.stretch(jnp.where(state.steps == 0, anything, chosen)))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.actor.stretch(state.actor(obs).mode()))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        target_key, critic_key, actor_key = jax.random.split(key, 3)
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        actor_opt, critic_opt, alpha_opt = state.opt_states
        critic_rate = at(self.critic_learning_rate, state.steps)

        target = self.target(state, batch, target_key)
        grads, metrics = jax.grad(self.critic_loss, has_aux=True)(state.critics, batch, target, critic_key)
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
        policy_key, dropout_key = jax.random.split(key)
        action, log_prob = state.actor.draw(batch.next_obs, policy_key)
        next_value = self.values(state.targets, batch.next_obs, action, dropout_key).min(0)
        return batch.reward + batch.discount * (next_value - jnp.exp(state.log_alpha) * log_prob)

    def critic_loss(
        self, critics: Critics, batch: Transition, target: Array, key: Array
    ) -> tuple[Array, dict[str, Array]]:
        q = self.values(critics, batch.obs, batch.action, key)
        td_error = jnp.abs(q - target).mean(0)
        terms = {"critic_loss": value_error(q, target).sum(0), "value": q.mean(0), "td_error": td_error}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["critic_loss"], means | {"priority": td_error}

    def improve(self, kept: Any, critics: Critics, batch: Transition, key: Array, rate: float | Array) -> Any:
        """One step of the actor and the temperature -> (both, and their optimisers' states), metrics."""
        actor, log_alpha, actor_opt, alpha_opt = kept
        loss = jax.value_and_grad(self.actor_loss, has_aux=True)
        (actor_loss, log_prob), grads = loss(actor, critics, jnp.exp(log_alpha), batch, key)
        actor, actor_opt = descend(adam(), actor, grads, actor_opt, rate)
        grads = jax.grad(self.alpha_loss)(log_alpha, log_prob, batch)
        log_alpha, alpha_opt = descend(adam(), log_alpha, grads, alpha_opt, rate * self.learns_alpha)
        found = {"actor_loss": actor_loss, "entropy": weighted_mean(-log_prob, batch.weight)}
        return (actor, log_alpha, actor_opt, alpha_opt), jax.tree.map(lambda x: x * self.experience.updates, found)

    def actor_loss(self, actor: TanhActor, critics: Critics, alpha: Array, batch: Transition, key: Array) -> Any:
        policy_key, dropout_key = jax.random.split(key)
        action, log_prob = actor.draw(batch.obs, policy_key)
        value = self.values(critics, batch.obs, action, dropout_key).mean(0)
        return weighted_mean(alpha * log_prob - value, batch.weight), log_prob

    def alpha_loss(self, log_alpha: Array, log_prob: Array, batch: Transition) -> Array:
        target_entropy = -self.entropy_scale * batch.action.shape[-1]
        return -log_alpha * weighted_mean(log_prob + target_entropy, batch.weight)

    def values(self, critics: Critics, obs: Any, action: Array, key: Array) -> Array:
        """What both critics say, units dropped anew for every row -> [2, batch]."""
        keys = jax.random.split(key, (2, len(action)))
        both = [jax.vmap(c, (0, 0, 0, None))(obs, action, k, self.dropout) for c, k in zip(critics, keys)]
        return jnp.stack(both)
