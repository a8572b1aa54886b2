"""Returns and advantages. Time is the leading axis; any axes after it are carried along.

`discount` is gamma times the transition's own discount, so that termination (0), time limits (gamma),
turn-taking games (-gamma) and learned continuation probabilities are one formula. `last` is True on
an episode's final step, terminated or cut short: nothing flows backwards over it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def discounted_sum(x: Array, discount: Array, final: Array) -> Array:
    """y[t] = x[t] + discount[t] y[t + 1], where y after the end is `final`. x, discount: [time, ...]."""

    def backwards(later: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        x, discount = now
        total = x + discount * later
        return total, total

    return jax.lax.scan(backwards, final, (x, discount), reverse=True)[1]


def monte_carlo_return(reward: Array, discount: Array, last: Array) -> Array:
    """G[t] = R[t] + discount[t] G[t + 1] within an episode, with nothing after its last step.

    Sutton & Barto, eq. 3.9; what lies behind a time limit or the end of the data counts as zero.
    """
    return discounted_sum(reward, discount * (1.0 - last), jnp.zeros_like(reward[0]))


def lambda_return(reward: Array, discount: Array, next_value: Array, last: Array, lambda_: float | Array) -> Array:
    """G[t] = R[t] + discount[t] ((1 - lambda) V'[t] + lambda G[t + 1]), where G after the end is V'.

    Sutton & Barto, eq. 12.2 in recursive form. lambda 0 is the one-step target, 1 bootstraps only
    where an episode is cut. `next_value` is V of the true successor, [time, ...] like the rest.
    """
    lambda_ = lambda_ * (1.0 - last)
    blend = reward + discount * (1 - lambda_) * next_value
    return discounted_sum(blend, discount * lambda_, next_value[-1])


def gae(reward: Array, discount: Array, value: Array, next_value: Array, last: Array, lambda_: float | Array) -> Array:
    """A[t] = delta[t] + discount[t] lambda A[t + 1], delta[t] = R[t] + discount[t] V'[t] - V[t].

    Generalised advantage estimation (Schulman et al., 2016, https://arxiv.org/abs/1506.02438, eq. 16).
    """
    delta = reward + discount * next_value - value
    return discounted_sum(delta, discount * lambda_ * (1.0 - last), jnp.zeros_like(value[-1]))


def n_step_return(reward: Array, discount: Array, next_value: Array, last: Array, n: int) -> Array:
    """The sum of n discounted rewards and the value behind them, fewer at an episode's or the data's end.

    G[t] = R[t] + discount[t] (R[t + 1] + ... + discount[t + n - 1] V'[t + n - 1]); Sutton & Barto, eq. 7.1.
    """
    ends = last.astype(bool).at[-1].set(True)
    target = reward + discount * next_value
    for _ in range(n - 1):
        longer = reward + discount * jnp.roll(target, -1, axis=0)
        target = jnp.where(ends, reward + discount * next_value, longer)
    return target


def n_step_reward(reward: Array, discount: Array, last: Array) -> tuple[Array, Array, Array]:
    """Of windows [n, ...] from their first step: the n-step return in pieces -> (reward, discount, final), each [...].

    `reward` is R[0] + discount[0] R[1] + ... and `discount` the product of the discounts, both up to the step `final`:
    the first that is `last`, else the last of the window. Sutton & Barto, eq. 7.1, before V is known.
    """
    ended = jnp.cumsum(last, axis=0) - last > 0  # by an earlier step
    kept = jnp.where(ended, 1.0, discount)
    before = jnp.cumprod(jnp.concatenate([jnp.ones_like(kept[:1]), kept[:-1]]), axis=0)
    total = jnp.where(ended, 0.0, before * reward).sum(0)
    return total, jnp.prod(kept, axis=0), (~ended).sum(0) - 1


def past_the_end(discount: Array, last: Array) -> tuple[Array, Array]:
    """Of windows [time, ...] from their first step, what lies before each step -> over, unknown: bool [time, ...].

    `over`: the first episode to end has terminated; what follows it is nothing, for ever. `unknown`: it was cut short,
    and what would have followed was not seen. Transitions' own discounts, without gamma.
    """
    first = last & (jnp.cumsum(last, axis=0) == 1)

    def before(x: Array) -> Array:
        return jnp.cumsum(x, axis=0) - x > 0

    return before(first & (discount == 0)), before(first & (discount != 0))


def vtrace(
    ratio: Array,
    reward: Array,
    discount: Array,
    value: Array,
    next_value: Array,
    last: Array,
    lambda_: float | Array = 1.0,
    clip_rho: float | Array = 1.0,
    clip_c: float | Array = 1.0,
) -> tuple[Array, Array]:
    """Off-policy value targets and policy-gradient advantages -> (vs, advantage), both [time, ...].

        vs[t] = V[t] + rho[t] delta[t] + discount[t] c[t] (vs[t + 1] - V[t + 1])
        advantage[t] = rho[t] (R[t] + discount[t] vs[t + 1] - V[t])

    with rho = min(clip_rho, ratio), c = lambda min(clip_c, ratio), ratio = pi / mu, and vs behind an episode's end
    being V' (Espeholt et al., 2018, https://arxiv.org/abs/1802.01561, eq. 1). Neither passes a gradient.
    """
    rho, c = jnp.minimum(clip_rho, ratio), lambda_ * jnp.minimum(clip_c, ratio)
    delta = rho * (reward + discount * next_value - value)
    correction = discounted_sum(delta, discount * c * (1.0 - last), jnp.zeros_like(value[-1]))
    vs = value + correction
    ends = last.astype(bool).at[-1].set(True)
    next_vs = jnp.where(ends, next_value, jnp.roll(vs, -1, axis=0))
    advantage = rho * (reward + discount * next_vs - value)
    return jax.lax.stop_gradient(vs), jax.lax.stop_gradient(advantage)
