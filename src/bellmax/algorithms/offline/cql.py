"""Conservative Q-learning (Kumar et al., 2020), https://arxiv.org/abs/2006.04779: CQL(H) on soft actor-critic.

Soft actor-critic on logged steps, whose critics are also to hold what was not chosen for worse than what was chosen:

    J_Q = E[ (Q_i(S,A) - y)^2 ] / 2 + alpha ( E[ log sum_a exp Q_i(S,a) ] - E[ Q_i(S,A) ] ),                 (eq. 4)
    y   = R + gamma min_j Q'_j(S',a'),  a' ~ pi

The sum over all actions is estimated from N evenly drawn ones, N of pi at S and N of pi at S', each weighed by one over
its density (appendix F). Actor and temperature learn as in soft actor-critic. As in the authors' code
(https://github.com/aviralkumar2907/CQL), y has no entropy in it, and the actor learns slower than the critics.

Beyond the paper: alpha is a number, without the Lagrangian; the actor is not cloned at first; actions are measured in
-1 .. 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Dataset, Replay, fold
from bellmax.maths.optimise import adam, descend, follow
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.actors import TanhActor
from bellmax.networks.mlp import Activation
from bellmax.networks.value_networks import Critic
from bellmax.ranges import Count, NonNegative, Positive, Sizes, Unit

Critics = tuple[Critic, Critic]


class Drawn(NamedTuple):
    """Actions that the critics are asked about: [3 N, batch, ...], in the box, and their log-densities in -1 .. 1."""

    action: Array
    log_prob: Array


class State(NamedTuple):
    """What has been learned."""

    actor: TanhActor  # pi
    critics: Critics  # Q
    targets: Critics  # Q'
    log_temperature: Array
    opt_states: tuple[Any, Any, Any]  # of the actor, the critics and the temperature
    steps: Array  # the clock of schedules


class CQL(Algorithm):
    """Conservative Q-learning for continuous actions."""

    experience: Dataset | Replay = Dataset(batch=256)  # what it learns from
    gamma: Unit = 0.99  # discount
    alpha: NonNegative = 5.0  # how conservative the critics are; 0 is soft actor-critic
    samples: Count = 10  # N: actions of each kind that stand for all
    tau: Unit = 0.005  # how fast the target critics follow
    learning_rate: Scheduled = 1e-4  # Adam's, of the actor and the temperature
    critic_learning_rate: Scheduled = 3e-4  # Adam's, of the critics
    initial_temperature: Positive = 1.0  # of the entropy, at first
    entropy_scale: NonNegative = 1.0  # the target entropy is minus this for every dimension of the action
    hidden: Sizes = (256, 256)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        actor_key, *critic_keys = jax.random.split(key, 3)
        actor = TanhActor(actor_key, spec.obs, spec.action, self.hidden, self.activation)
        one, other = (Critic(k, spec.obs, spec.action, self.hidden, self.activation) for k in critic_keys)
        log_temperature = jnp.log(jnp.float32(self.initial_temperature))
        opt_states = adam().init(actor), adam().init((one, other)), adam().init(log_temperature)
        targets = jax.tree.map(jnp.copy, (one, other))
        return State(actor, (one, other), targets, log_temperature, opt_states, jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.actor.stretch(state.actor(obs).sample(key)))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.actor.stretch(state.actor(obs).mode()))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        target_key, drawn_key, actor_key = jax.random.split(key, 3)
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        actor_opt, critic_opt, temperature_opt = state.opt_states
        rate, critic_rate = at(self.learning_rate, state.steps), at(self.critic_learning_rate, state.steps)

        target, drawn = self.target(state, batch, target_key), self.drawn(state.actor, batch, drawn_key)
        grads, metrics = jax.grad(self.critic_loss, has_aux=True)(state.critics, batch, target, drawn)
        critics, critic_opt = descend(adam(), state.critics, grads, critic_opt, critic_rate)

        temperature = jnp.exp(state.log_temperature)
        grads, (log_prob, found) = jax.grad(self.actor_loss, has_aux=True)(
            state.actor, critics, temperature, batch, actor_key
        )
        actor, actor_opt = descend(adam(), state.actor, grads, actor_opt, rate)

        grads = jax.grad(self.temperature_loss)(state.log_temperature, log_prob, batch)
        log_temperature, temperature_opt = descend(adam(), state.log_temperature, grads, temperature_opt, rate)
        targets = follow(state.targets, critics, self.tau)
        new = State(actor, critics, targets, log_temperature, (actor_opt, critic_opt, temperature_opt), steps)
        return new, metrics | found | {"temperature": temperature}

    def target(self, state: State, batch: Transition, key: Array) -> Array:
        """y, [batch]."""
        action, _ = state.actor.draw(batch.next_obs, key)
        next_value = jnp.minimum(*(jax.vmap(critic)(batch.next_obs, action) for critic in state.targets))
        return batch.reward + batch.discount * next_value

    def drawn(self, actor: TanhActor, batch: Transition, key: Array) -> Drawn:
        """Evenly drawn actions, those of pi at S, and those of pi at S': all are asked about at S."""
        even_key, now_key, next_key = jax.random.split(key, 3)
        size, dimensions = batch.action.shape
        even = jax.random.uniform(even_key, (size, self.samples, dimensions), minval=-1.0).swapaxes(0, 1)
        density = jnp.full((self.samples, size), -dimensions * jnp.log(2.0))
        many = jax.vmap(actor.draw, (None, 0))
        now, after = (
            many(obs, jax.random.split(k, self.samples))
            for obs, k in ((batch.obs, now_key), (batch.next_obs, next_key))
        )
        return Drawn(
            jnp.concatenate([actor.stretch(even), now[0], after[0]]), jnp.concatenate([density, now[1], after[1]])
        )

    def critic_loss(self, critics: Critics, batch: Transition, target: Array, drawn: Drawn) -> Any:
        one, other = (jax.vmap(critic)(batch.obs, batch.action) for critic in critics)
        gap = sum(self.all_actions(critic, batch, drawn) for critic in critics) - one - other
        error = value_error(one, target) + value_error(other, target)
        td_error = 0.5 * (jnp.abs(one - target) + jnp.abs(other - target))
        terms = {"critic_loss": error + self.alpha * gap, "value": one, "td_error": td_error, "gap": 0.5 * gap}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["critic_loss"], means

    def all_actions(self, critic: Critic, batch: Transition, drawn: Drawn) -> Array:
        """log sum_a exp Q(S,a), [batch]: the mean of exp Q / density over what was drawn."""
        count = drawn.log_prob.shape[0]
        obs = jax.tree.map(lambda x: jnp.tile(x, (count, *[1] * (x.ndim - 1))), batch.obs)
        rows = drawn.action.reshape(-1, *drawn.action.shape[2:])  # one product of matrices, a third of the time
        q = jax.vmap(critic)(obs, rows).reshape(drawn.log_prob.shape)
        return jax.nn.logsumexp(q - drawn.log_prob, axis=0) - jnp.log(count)

    def actor_loss(self, actor: TanhActor, critics: Critics, temperature: Array, batch: Transition, key: Array) -> Any:
        action, log_prob = actor.draw(batch.obs, key)
        value = jnp.minimum(*(jax.vmap(critic)(batch.obs, action) for critic in critics))
        loss = weighted_mean(temperature * log_prob - value, batch.weight)
        return loss, (log_prob, {"actor_loss": loss, "entropy": weighted_mean(-log_prob, batch.weight)})

    def temperature_loss(self, log_temperature: Array, log_prob: Array, batch: Transition) -> Array:
        target_entropy = -self.entropy_scale * batch.action.shape[-1]
        return -log_temperature * weighted_mean(log_prob + target_entropy, batch.weight)
