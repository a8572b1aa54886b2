"""Observations brought to unit size by the running moments of those seen, and returns that run on from step to step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.statistics import Moments, no_moments, update_moments
from bellmax.spaces import Box, Tree, is_image

Seen = list[Moments | None]  # one a leaf of the observation; None where it passes through


def nothing_seen(space: Tree, pixels: bool = False) -> Seen:
    """Moments for every leaf of numbers, and of pixels too if asked; choices, switches and masks have none."""
    return [no_moments(leaf.shape) if _has_moments(leaf, pixels) else None for leaf in jax.tree.leaves(space)]


def take_in(seen: Seen, obs: Any, weight: Array) -> Seen:
    """The moments with observations [*weight.shape, ...] in them; those of weight 0 are not looked at."""
    return [m and update_moments(m, x, weight) for m, x in zip(seen, jax.tree.leaves(obs))]


def standardised(seen: Seen, obs: Any, clip: float | Array) -> Any:
    """(obs - mean) / deviation, cut to +-clip, where there are moments; any leading axes."""
    leaves, tree = jax.tree.flatten(obs)
    pairs = zip(seen, leaves)
    return jax.tree.unflatten(tree, [x if m is None else by_moments(m, x, clip) for m, x in pairs])


def by_moments(moments: Moments, x: Array, clip: float | Array = jnp.inf) -> Array:
    """(x - mean) / deviation, cut to +-clip; any leading axes."""
    return jnp.clip((x - moments.mean) * jax.lax.rsqrt(moments.variance + 1e-8), -clip, clip)


def deviation(moments: Moments) -> Array:
    """What `by_moments` divides by."""
    return jnp.sqrt(moments.variance + 1e-8)


def running_return(before: Array, reward: Array, last: Array, gamma: float | Array) -> tuple[Array, Array]:
    """R <- gamma R + reward, step by step, anew behind a `last` -> R to go on with [env], every R [time, env].

    before: [env]; reward and last: [time, env].
    """

    def step(running: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        reward, last = now
        running = gamma * running + reward
        return running * (1.0 - last), running

    return jax.lax.scan(step, before, (reward, last))


def _has_moments(space: Any, pixels: bool) -> bool:
    if not isinstance(space, Box):
        return False
    return pixels if is_image(space) else space.dtype.startswith("float")
