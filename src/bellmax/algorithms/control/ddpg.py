"""Deep deterministic policy gradient (Lillicrap et al., 2016), https://arxiv.org/abs/1509.02971.

Keep the steps that were taken; after every one descend, on a batch drawn from those,

    L = E[ (Q(S,A) - y)^2 ],  y = R + gamma Q'(S', mu'(S'))                                            (algorithm 1)

and ascend E[ Q(S, mu(S)) ] by the parameters of mu (eq. 6). The targets Q' and mu' follow slowly:
Q' <- Q' + tau (Q - Q'), and mu' alike. The action is mu(S) with noise, in the paper Ornstein and Uhlenbeck's.

Beyond the paper: two layers of 256 for both, Adam's rates and tau of the code of Fujimoto et al., 2018, and neither
batch normalisation nor weight decay; the action enters the critic's first layer; noise is measured, and what comes of
it cut, where actions reach from -1 to 1; before the first update actions are drawn evenly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Hindsight, Prioritised, Replay, fold
from bellmax.maths.noise import GaussianNoise, OrnsteinUhlenbeck
from bellmax.maths.optimise import adam, descend, follow
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.actors import Actor
from bellmax.networks.bounds import numbers, to_box, to_unit
from bellmax.networks.mlp import Activation
from bellmax.networks.value_networks import Critic
from bellmax.ranges import Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    actor: Actor  # mu
    critic: Critic  # Q
    targets: tuple[Actor, Critic]  # mu', Q'
    opt_states: tuple[Any, Any]  # of the actor and the critic
    steps: Array  # environment steps so far, 0 before the first update


class DDPG(Algorithm):
    """Deep deterministic policy gradient."""

    experience: Replay | Prioritised | Hindsight = Replay(
        capacity=1_000_000, batch=256, start=1_000
    )  # what it learns from
    gamma: Unit = 0.99  # discount
    tau: Unit = 0.005  # how fast the targets follow
    learning_rate: Scheduled = 1e-3  # Adam's, of the actor
    critic_learning_rate: Scheduled = 1e-3  # Adam's, of the critic
    noise: OrnsteinUhlenbeck | GaussianNoise = OrnsteinUhlenbeck(theta=0.15, sigma=0.2)  # added to actions in -1 .. 1
    hidden: Sizes = (256, 256)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        actor_key, critic_key = jax.random.split(key)
        actor = Actor(actor_key, spec.obs, spec.action, self.hidden, self.activation)
        critic = Critic(critic_key, spec.obs, spec.action, self.hidden, self.activation)
        opt_states = adam().init(actor), adam().init(critic)
        return State(actor, critic, jax.tree.map(jnp.copy, (actor, critic)), opt_states, jnp.zeros(()))

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

        grads, metrics = jax.grad(self.critic_loss, has_aux=True)(state.critic, batch, self.target(state, batch))
        critic, critic_opt = descend(adam(), state.critic, grads, critic_opt, critic_rate)

        actor_loss, grads = jax.value_and_grad(self.actor_loss)(state.actor, critic, batch)
        actor, actor_opt = descend(adam(), state.actor, grads, actor_opt, rate)

        targets = follow(state.targets, (actor, critic), self.tau)
        return State(actor, critic, targets, (actor_opt, critic_opt), steps), metrics | {"actor_loss": actor_loss}

    def target(self, state: State, batch: Transition) -> Array:
        """y, [batch]."""
        actor, critic = state.targets
        return batch.reward + batch.discount * jax.vmap(lambda obs: critic(obs, actor(obs)))(batch.next_obs)

    def critic_loss(self, critic: Critic, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        value = jax.vmap(critic)(batch.obs, batch.action)
        td_error = jnp.abs(target - value)
        terms = {"critic_loss": value_error(value, target), "value": value, "td_error": td_error}
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return means["critic_loss"], means | {"priority": td_error}

    def actor_loss(self, actor: Actor, critic: Critic, batch: Transition) -> Array:
        value = jax.vmap(lambda obs: critic(obs, actor(obs)))(batch.obs)
        return weighted_mean(-value, batch.weight)
