"""Stretches of steps as rows of what was seen and how it was reached, for models that read.

A step is what was seen before and behind it; a model reads every sight once. A terminal sight is no step's `obs`, and
the first sight of an episode is no step's `next_obs`: so a stretch with an end in it has a row more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Transition


class Rows(NamedTuple):
    """What was seen, in order; each leaf is [row, ...]."""

    obs: Any
    action: Array  # [row, actions], the one before; zeros where an episode begins
    reward: Array  # that came with it
    discount: Array  # 0 where the episode terminated here, else 1
    begins: Array  # does an episode begin here?
    ends: Array  # was this the last sight of an episode?
    arrived: Array  # was it reached by a step of the stretch, so that its reward is known?
    weight: Array


def lay_out(steps: Transition, action: Array, before: Array) -> Rows:
    """`steps` [time] of one environment, their actions as numbers [time, actions] -> [time + 1] rows.

    `before` [actions] is the action that led to the first. Each end in the stretch costs a step at its end: the row
    that it takes is the terminal sight. A step of weight 0 cuts the stretch as an end does.
    """
    length = steps.reward.shape[0]
    cut = steps.last.astype(bool) | (steps.weight == 0)
    first = jnp.concatenate([jnp.ones((1,), bool), cut[:-1]])  # is the sight before step t a row of its own?
    place = jnp.arange(length) + jnp.cumsum(cut) - cut  # of the sight before step t; the one behind it is the next
    row = jnp.arange(length + 1)[:, None]
    reached, opened = row == place + 1, (row == place) & first  # [row, time]
    arrived, step = reached.any(1), jnp.where(reached.any(1), reached.argmax(1), opened.argmax(1))

    def choose(behind: Array, ahead: Array) -> Array:
        return jnp.where(arrived.reshape(-1, *[1] * (behind.ndim - 1)), behind[step], ahead[step])

    begins = ~arrived & (jnp.arange(length + 1) > 0)
    return Rows(
        obs=jax.tree.map(choose, steps.next_obs, steps.obs),
        action=jnp.where(arrived[:, None], action[step], jnp.where(begins[:, None], 0.0, before)),
        reward=jnp.where(arrived, steps.reward[step], 0.0),
        discount=jnp.where(arrived, steps.discount[step], 1.0),
        begins=begins,
        ends=arrived & cut[step],
        arrived=arrived,
        weight=steps.weight[step],
    )
