"""Soft actor-critic for discrete actions (Christodoulou, 2019), https://arxiv.org/abs/1910.07207.

Keep the steps that were taken; after every one descend, on a batch drawn from those,

    J_Q     = E[ (Q_i(S,A) - y)^2 ],  y = R + gamma V(S'),  V(s) = pi(s) . [min_j Q'_j(s) - alpha log pi(s)]    (eq. 10)
    J_pi    = E[ pi(S) . [alpha log pi(S) - min_j Q_j(S)] ]                                                     (eq. 12)
    J_alpha = E[ pi(S) . [-alpha (log pi(S) + target entropy)] ]                                                (eq. 11)

for two critics, where pi(s), Q(s) have one entry an action: what SAC samples is here summed. The target critics Q'
follow slowly: Q' <- Q' + tau (Q - Q').

Beyond the paper: the gradient of J_alpha is taken by log alpha; the target entropy is a share of the most there can be,
log |A|, 0.98 in the authors' code; illegal actions have probability zero; before the first update any legal action is
as likely as another.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Prioritised, Replay, fold
from bellmax.maths.chance import choose
from bellmax.maths.distributions import Categorical
from bellmax.maths.exploration import evenly
from bellmax.maths.optimise import adam, descend, follow
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.maths.values import value_error
from bellmax.networks.choice_actor import ChoiceActor
from bellmax.networks.mlp import Activation
from bellmax.networks.value_networks import QNetwork
from bellmax.ranges import Positive, Sizes, Unit

Critics = tuple[QNetwork, QNetwork]


class State(NamedTuple):
    """What has been learned."""

    actor: ChoiceActor  # pi
    critics: Critics  # Q
    targets: Critics  # Q'
    log_alpha: Array  # the temperature's logarithm
    opt_states: tuple[Any, Any, Any]  # of the actor, the critics and the temperature
    steps: Array  # environment steps so far, 0 before the first update


class DiscreteSAC(Algorithm):
    """Soft actor-critic for discrete actions."""

    experience: Replay | Prioritised = Replay(capacity=100_000, batch=64, start=1_000)  # what it learns from
    gamma: Unit = 0.99  # discount
    tau: Unit = 0.005  # how fast the target critics follow
    learning_rate: Scheduled = 3e-4  # Adam's, of the actor and the temperature
    critic_learning_rate: Scheduled = 3e-4  # Adam's, of the critics
    initial_alpha: Positive = 1.0  # the temperature at first
    learns_alpha: bool = True  # if not, it stays as it is
    target_entropy_ratio: Unit = 0.98  # the target entropy, as a share of log |A|
    hidden: Sizes = (64, 64)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        actor_key, *critic_keys = jax.random.split(key, 3)
        actor = ChoiceActor(actor_key, spec.obs, spec.action, self.hidden, self.activation)
        one, other = (QNetwork(k, spec.obs, spec.action, self.hidden, self.activation) for k in critic_keys)
        log_alpha = jnp.log(jnp.float32(self.initial_alpha))
        opt_states = adam().init(actor), adam().init((one, other)), adam().init(log_alpha)
        targets = jax.tree.map(jnp.copy, (one, other))
        return State(actor, (one, other), targets, log_alpha, opt_states, jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        logits = state.actor(obs).logits
        probabilities = jnp.where(state.steps == 0, evenly(logits, legal_of(obs)), jax.nn.softmax(logits))
        return Decision(choose(probabilities, key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.actor(obs).mode())

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        actor_opt, critic_opt, alpha_opt = state.opt_states
        rate, critic_rate = at(self.learning_rate, state.steps), at(self.critic_learning_rate, state.steps)

        grads, metrics = jax.grad(self.critic_loss, has_aux=True)(state.critics, batch, self.target(state, batch))
        critics, critic_opt = descend(adam(), state.critics, grads, critic_opt, critic_rate)

        grads, found = jax.grad(self.actor_loss, has_aux=True)(state.actor, critics, jnp.exp(state.log_alpha), batch)
        actor, actor_opt = descend(adam(), state.actor, grads, actor_opt, rate)

        grads = jax.grad(self.alpha_loss)(state.log_alpha, found["entropy"], actor.logits.bias.shape[0], batch)
        log_alpha, alpha_opt = descend(adam(), state.log_alpha, grads, alpha_opt, rate * self.learns_alpha)
        targets = follow(state.targets, critics, self.tau)
        new = State(actor, critics, targets, log_alpha, (actor_opt, critic_opt, alpha_opt), steps)
        return new, metrics | found | {"alpha": jnp.exp(state.log_alpha)}

    def target(self, state: State, batch: Transition) -> Array:
        """y, [batch]."""
        policy = jax.vmap(state.actor)(batch.next_obs)
        value = expected(policy, smaller(state.targets, batch.next_obs)) + jnp.exp(state.log_alpha) * policy.entropy()
        return batch.reward + batch.discount * value

    def critic_loss(self, critics: Critics, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        q = jnp.stack([jax.vmap(critic)(batch.obs) for critic in critics])
        value = jnp.where(jnp.arange(q.shape[-1]) == batch.action[:, None], q, 0).sum(-1)
        td_error = jnp.abs(value - target).mean(0)
        terms = {"critic_loss": value_error(value, target).sum(0), "value": value.mean(0), "td_error": td_error}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["critic_loss"], means | {"priority": td_error}

    def actor_loss(self, actor: ChoiceActor, critics: Critics, alpha: Array, batch: Transition) -> Any:
        policy = jax.vmap(actor)(batch.obs)
        loss = -alpha * policy.entropy() - expected(policy, smaller(critics, batch.obs))
        terms = {"actor_loss": loss, "entropy": policy.entropy()}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["actor_loss"], means

    def alpha_loss(self, log_alpha: Array, entropy: Array, actions: int, batch: Transition) -> Array:
        return log_alpha * (entropy - self.target_entropy_ratio * jnp.log(actions))


def smaller(critics: Critics, obs: Any) -> Array:
    """min_j Q_j, [batch, actions]."""
    return jnp.minimum(*(jax.vmap(critic)(obs) for critic in critics))


def expected(policy: Categorical, q: Array) -> Array:
    """pi . q, [batch]."""
    return (jax.nn.softmax(policy.logits) * q).sum(-1)
