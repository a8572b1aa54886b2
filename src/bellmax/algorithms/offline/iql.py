"""Implicit Q-learning (Kostrikov et al., 2022), https://arxiv.org/abs/2110.06169.

Values of the best actions that are in the data, without asking for any that is not. On a batch of logged steps descend

    L_V  = E[ L2^tau( min_i Q'_i(S,A) - V(S) ) ],  L2^tau(u) = |tau - 1(u < 0)| u^2                          (eq. 5)
    L_Q  = E[ (R + gamma V(S') - Q_i(S,A))^2 ]                                                               (eq. 6)
    L_pi = E[ -exp(beta (min_i Q'_i(S,A) - V(S))) log pi(A|S) ]                                              (eq. 7)

for two critics, and let the target critics follow slowly: Q' <- Q' + rho (Q - Q'). As in the authors' code
(https://github.com/ikostrikov/implicit_q_learning): V first, the others with the new one; the exponential is cut at
100; the policy is a normal with a tanh of a mean and a deviation that does not depend on the observation.

Beyond the paper: choices as well as numbers of a box; squares in L_Q are halved.
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
from bellmax.maths.values import expectile_error, value_error
from bellmax.networks.mlp import Activation
from bellmax.networks.policies import PolicyNetwork
from bellmax.networks.value_networks import StateValue, critic_for
from bellmax.ranges import NonNegative, Positive, Sizes, Unit


class State(NamedTuple):
    """What has been learned."""

    policy: PolicyNetwork  # pi
    value: StateValue  # V
    critics: tuple[Any, Any]  # Q
    targets: tuple[Any, Any]  # Q'
    opt_states: tuple[Any, Any, Any]  # of the policy, the value and the critics
    steps: Array  # updates so far


class IQL(Algorithm):
    """Implicit Q-learning."""

    experience: Dataset | Replay = Dataset(batch=256)  # what it learns from
    gamma: Unit = 0.99  # discount
    expectile: Unit = 0.7  # tau: 0.5 is the mean of what was chosen, near 1 the best of it
    beta: NonNegative = 3.0  # how much better actions are preferred; 0 clones
    largest_weight: Positive = 100.0  # the exponential is cut here
    target_rate: Unit = 0.005  # rho: how fast the target critics follow
    learning_rate: Scheduled = 3e-4  # Adam's, of the policy
    critic_learning_rate: Scheduled = 3e-4  # Adam's, of the value and the critics
    hidden: Sizes = (256, 256)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        policy_key, value_key, *critic_keys = jax.random.split(key, 4)
        policy = PolicyNetwork(policy_key, spec.obs, spec.action, self.hidden, self.activation)
        value = StateValue(value_key, spec.obs, self.hidden, self.activation)
        one, other = (critic_for(k, spec.obs, spec.action, self.hidden, self.activation) for k in critic_keys)
        opt_states = adam().init(policy), adam().init(value), adam().init((one, other))
        targets = jax.tree.map(jnp.copy, (one, other))
        return State(policy, value, (one, other), targets, opt_states, jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.policy.to_action(state.policy(obs).sample(key)))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(state.policy.to_action(state.policy(obs).mode()))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        policy_opt, value_opt, critic_opt = state.opt_states
        rate, critic_rate = at(self.learning_rate, state.steps), at(self.critic_learning_rate, state.steps)
        done_well = jnp.minimum(*(jax.vmap(critic)(batch.obs, batch.action) for critic in state.targets))

        grads, metrics = jax.grad(self.value_loss, has_aux=True)(state.value, batch, done_well)
        value, value_opt = descend(adam(), state.value, grads, value_opt, critic_rate)

        grads, found = jax.grad(self.policy_loss, has_aux=True)(state.policy, value, batch, done_well)
        policy, policy_opt = descend(adam(), state.policy, grads, policy_opt, rate)

        target = batch.reward + batch.discount * jax.vmap(value)(batch.next_obs)
        grads, also = jax.grad(self.critic_loss, has_aux=True)(state.critics, batch, target)
        critics, critic_opt = descend(adam(), state.critics, grads, critic_opt, critic_rate)

        targets = follow(state.targets, critics, self.target_rate)
        new = State(policy, value, critics, targets, (policy_opt, value_opt, critic_opt), steps)
        return new, metrics | found | also

    def value_loss(self, value: StateValue, batch: Transition, done_well: Array) -> tuple[Array, dict[str, Array]]:
        said = jax.vmap(value)(batch.obs)
        loss = weighted_mean(expectile_error(done_well - said, self.expectile), batch.weight)
        return loss, {"value_loss": loss, "value": weighted_mean(said, batch.weight)}

    def policy_loss(self, policy: PolicyNetwork, value: StateValue, batch: Transition, done_well: Array) -> Any:
        advantage = done_well - jax.vmap(value)(batch.obs)
        preference = jnp.minimum(jnp.exp(self.beta * advantage), self.largest_weight)
        log_prob = jax.vmap(policy.log_prob)(batch.obs, batch.action)
        loss = weighted_mean(-preference * log_prob, batch.weight)
        return loss, {"actor_loss": loss, "preference": weighted_mean(preference, batch.weight)}

    def critic_loss(self, critics: Any, batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
        one, other = (jax.vmap(critic)(batch.obs, batch.action) for critic in critics)
        loss = weighted_mean(value_error(one, target) + value_error(other, target), batch.weight)
        td_error = 0.5 * (jnp.abs(one - target) + jnp.abs(other - target))
        return loss, {"critic_loss": loss, "td_error": weighted_mean(td_error, batch.weight)}
