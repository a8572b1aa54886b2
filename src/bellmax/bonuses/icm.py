"""The intrinsic curiosity module (Pathak et al., 2017), https://arxiv.org/abs/1705.05363.

Features phi are learned by telling from two of them what was done in between; the bonus is how badly those of the next
observation are foreseen:

    L_I   = -log p(A | phi(S), phi(S'))                                                               (eqs. 2, 3)
    L_F   = |f(phi(S), A) - phi(S')|^2 / 2                                                            (eqs. 4, 5)
    bonus = L_F,    and  (1 - beta) L_I + beta L_F  descends                                          (eqs. 6, 7)

so that phi holds what actions have a part in, and noise that cannot be steered is no news.

Beyond the paper: phi learns from L_I alone, as section 2.2 wants it: L_F would be least for features that say nothing;
L_F is averaged over features; every kind of action has its likelihood, boxes that of a normal; dense layers of relu.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.bonuses.bonus import Bonus, flat
from bellmax.core import Spec, Transition
from bellmax.maths.optimise import adam, descend
from bellmax.maths.statistics import weighted_mean
from bellmax.networks.dynamics import Dynamics
from bellmax.ranges import Count, Positive, Sizes, Unit


class State(NamedTuple):
    """What is foreseen."""

    network: Dynamics
    opt_state: Any


class ICM(Bonus):
    """How badly the features of the next observation are foreseen."""

    beta: Unit = 0.2  # share of the forward model in the loss
    learning_rate: Positive = 1e-3  # Adam's
    hidden: Sizes = (128,)  # widths of the dense layers of all three
    features: Count = 64  # numbers that stand for an observation

    def init(self, key: Array, spec: Spec) -> State:
        network = Dynamics(key, spec.obs, spec.action, self.hidden, self.features)
        return State(network, adam().init(network))

    def of(self, state: State, batch: Transition) -> Array:
        return self.errors(state.network, batch)[1]

    def learn(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, batch)
        return State(*descend(adam(), state.network, grads, state.opt_state, self.learning_rate)), metrics

    def loss(self, network: Dynamics, batch: Transition) -> tuple[Array, dict[str, Array]]:
        inverse, forward = (weighted_mean(error, batch.weight) for error in self.errors(network, batch))
        metrics = {"inverse_loss": inverse, "forward_loss": forward}
        return (1 - self.beta) * inverse + self.beta * forward, metrics

    def errors(self, network: Dynamics, batch: Transition) -> tuple[Array, Array]:
        """L_I and L_F of every step, each of the shape of `batch.reward`."""
        obs, action, next_obs = flat((batch.obs, batch.action, batch.next_obs), batch.weight)
        now, then = jax.vmap(network.features)(obs), jax.vmap(network.features)(next_obs)
        inverse = -jax.vmap(network.what_was_done)(now, then).log_prob(action)
        now, then = jax.lax.stop_gradient((now, then))
        forward = 0.5 * jnp.square(jax.vmap(network.foresee)(now, action) - then).mean(-1)
        return inverse.reshape(batch.reward.shape), forward.reshape(batch.reward.shape)
