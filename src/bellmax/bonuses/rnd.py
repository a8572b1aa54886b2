"""Random network distillation (Burda et al., 2019), https://arxiv.org/abs/1810.12894.

A network learns to predict what another, random one makes of an observation; where it has not been, it errs:

    bonus = |f^(S'; theta) - f(S')|^2,    theta descends its mean                                     (section 2.2)

Observations are standardised and cut to +-5; bonuses are divided by the running deviation of their discounted sum
(section 2.4), which goes on over the ends of episodes.

Beyond the paper: the bonus joins the reward, so that there is one value, and it ends with the episode where the paper
has a second, non-episodic one for bonuses; the square is averaged over outputs, which the division makes up for; the
first steps that are collected prepare the statistics, in place of a random agent's, and a bonus is cut at 5 too, for
statistics of few steps say little; dense layers where the observation is no picture.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.bonuses.bonus import Bonus, flat
from bellmax.core import Spec, Transition
from bellmax.maths.optimise import adam, descend
from bellmax.maths.standardising import Seen, nothing_seen, running_return, standardised, take_in
from bellmax.maths.statistics import Moments, no_moments, update_moments, weighted_mean
from bellmax.networks.predictor import Predictor
from bellmax.ranges import Count, Positive, Sizes, Unit


class State(NamedTuple):
    """What is familiar."""

    predictor: Predictor  # f^
    target: Predictor  # f
    opt_state: Any
    seen: Seen  # of the observations
    returns: Array  # discounted sum of the bonuses so far, [env]
    moments: Moments  # of those sums


class RND(Bonus):
    """How badly a network predicts another, random one."""

    gamma: Unit = 0.99  # discount of the sum whose deviation is taken
    learning_rate: Positive = 1e-4  # Adam's
    epochs: Count = 1  # gradient steps on each batch
    hidden: Sizes = (128, 128)  # widths of the dense layers
    outputs: Count = 128  # numbers to predict
    clip: Positive = 5.0  # standardised observations and bonuses are cut to this

    def init(self, key: Array, spec: Spec) -> State:
        keys = jax.random.split(key)
        predictor, target = (Predictor(k, spec.obs, self.hidden, self.outputs) for k in keys)
        seen = nothing_seen(spec.obs, pixels=True)
        return State(predictor, target, adam().init(predictor), seen, jnp.zeros(spec.num_envs), no_moments())

    def observe(self, state: State, fresh: Transition) -> State:
        state = state._replace(seen=take_in(state.seen, fresh.next_obs, fresh.weight))
        error = jnp.where(fresh.weight != 0, self.error(state.predictor, state, fresh), 0.0)
        returns, sums = running_return(state.returns, error, jnp.zeros_like(fresh.last), self.gamma)
        return state._replace(returns=returns, moments=update_moments(state.moments, sums, fresh.weight))

    def of(self, state: State, batch: Transition) -> Array:
        bonus = self.error(state.predictor, state, batch) * jax.lax.rsqrt(state.moments.variance + 1e-8)
        return jnp.minimum(bonus, self.clip)

    def learn(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        def step(carry: Any, _: Any) -> Any:
            predictor, opt_state = carry
            loss, grads = jax.value_and_grad(self.loss)(predictor, state, batch)
            return descend(adam(), predictor, grads, opt_state, self.learning_rate), loss

        start = state.predictor, state.opt_state
        (predictor, opt_state), loss = jax.lax.scan(step, start, length=self.epochs)
        return state._replace(predictor=predictor, opt_state=opt_state), {"bonus_loss": loss}

    def loss(self, predictor: Predictor, state: State, batch: Transition) -> Array:
        return weighted_mean(self.error(predictor, state, batch), batch.weight)

    def error(self, predictor: Predictor, state: State, batch: Transition) -> Array:
        """|f^ - f|^2 where each step leads, averaged over outputs; the shape of `batch.reward`."""
        obs = flat(standardised(state.seen, batch.next_obs, self.clip), batch.weight)
        error = jax.vmap(predictor)(obs) - jax.vmap(state.target)(obs)
        return jnp.square(error).mean(-1).reshape(batch.reward.shape)
