"""n steps that follow each other, seen as one."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bellmax.core import Transition
from bellmax.maths.returns import n_step_reward


def fold(batch: Transition, gamma: float | jax.Array) -> Transition:
    """Windows [n, batch] -> one transition each, [batch]: from the first observation to the n-th one after it.

    `reward` is the sum of the discounted rewards, `discount` the product of the discounts with gamma in it, `next_obs`
    what that discount belongs to; all end early where the episode does. So every n has the one-step target

        reward + discount * value(next_obs)                                           (Sutton & Barto, eq. 7.1)
    """
    reward, discount, final = n_step_reward(batch.reward, gamma * batch.discount, batch.last)
    first = jax.tree.map(lambda x: x[0], batch)
    if len(batch.reward) == 1:
        return first._replace(discount=discount)
    columns = jnp.arange(len(final))
    next_obs = jax.tree.map(lambda x: x[final, columns], batch.next_obs)
    return first._replace(reward=reward, discount=discount, next_obs=next_obs, last=batch.last[final, columns])
