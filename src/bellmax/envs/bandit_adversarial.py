"""A bandit without chance, laid out beforehand to lead the trusting astray."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs.bandits import of_arm, paid
from bellmax.ranges import Count, Range, Unit
from bellmax.spaces import Discrete


class Trap(NamedTuple):
    """Where the trap lies, and how far it has gone."""

    bait: Array  # the arm that pays at first
    prize: Array  # the arm that pays in the end
    pulls: Array  # so far


class AdversarialBandit(Env):
    """Rewards in [0, 1] that follow a plan made before the first pull (an oblivious adversary), without noise.

    For `switch` pulls the bait pays 1 and every other arm nothing. From then on the prize pays 1, the bait `bait`, the
    rest nothing. Who trusts averages has seen the prize pay nothing and the bait never pay less than `bait`: a greedy
    learner stays with it for good and loses 1 - `bait` at every pull. The prize is the best single arm in hindsight as
    soon as (pulls - switch) (1 - bait) > switch.

    Reset draws which arms are bait and prize. Observation: always 0. Action: the arm to pull.
    """

    arms: Annotated[int, Range(2)] = 10
    switch: Count = 200
    bait: Unit = 0.5

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(1), Discrete(self.arms))

    def reset(self, key: Array) -> tuple[Trap, Array]:
        bait_key, prize_key = jax.random.split(key)
        bait = jax.random.randint(bait_key, (), 0, self.arms)
        further = jax.random.randint(prize_key, (), 1, self.arms)
        return Trap(bait, (bait + further) % self.arms, jnp.int32(0)), jnp.int32(0)

    def step(self, env_state: Trap, action: Array, key: Array) -> tuple[Trap, Outcome]:
        reward = of_arm(self.means(env_state, jnp.int32(0)), action)
        return env_state._replace(pulls=env_state.pulls + 1), paid(reward)

    def means(self, env_state: Trap, obs: Array) -> Array:
        """What every arm pays at this pull, [arms]."""
        is_bait, is_prize = (jnp.arange(self.arms) == arm for arm in (env_state.bait, env_state.prize))
        return jnp.where(env_state.pulls < self.switch, 1.0 * is_bait, self.bait * is_bait + is_prize)
