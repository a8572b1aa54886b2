"""Pixels kept once: of a stack of frames, only the newest is new.

An environment's frames stand in a row in the order they were seen. A step knows the number of its newest frame; its
stack is that one and those before it, its next stack is the same a frame later. An episode writes its first stack
whole, however the environment fills it, and its last frame like any other: stacks come back as they were, at the start
of an episode, where it terminates and where it is cut. An episode so takes as many frames more than it has steps as the
stack is high; where episodes are short, the oldest steps lose their frames before their time, and weigh 0.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Transition

SPARE = 64  # one frame in so many is there for the starts and ends of episodes


class Film(eqx.Module):
    """The frames of every environment, numbered; a frame stands at its number modulo the slots there are."""

    frames: list[Array]  # [slots, env, ...], one for each part of the observation that is a stack
    place: Array  # [rows, env], the number of each step's newest frame
    newest: Array  # [env], that of the newest step; its next observation's is one more
    stack: int = eqx.field(static=True)  # frames in an observation
    axes: tuple[int | None, ...] = eqx.field(static=True)  # of each part, where its stack lies; None: it is no stack


def empty(owner: str, stack: int, obs: Any, rows: int, num_envs: int, length: int) -> Film | None:
    """A film without frames for the observations `obs` (shapes); None if `stack` is 0.

    Stacks are uint8, [stack, height, width] or [height, width, stack]. ValueError if there is none.
    """
    if stack == 0:
        return None
    parts = _parts(obs)
    axes = tuple(_axis(x, stack) for x in parts)
    if all(axis is None for axis in axes):
        raise ValueError(
            f"{owner}.frames = {stack}: the observation has {', '.join(f'{x.dtype}{list(x.shape)}' for x in parts)}, "
            f"but no uint8[{stack}, height, width] or uint8[height, width, {stack}]; give frames=0."
        )
    slots = rows + rows // SPARE + (stack + 1) * length
    shapes = [(x.shape[1:] if axis == 0 else x.shape[:-1]) for x, axis in zip(parts, axes) if axis is not None]
    frames = [jnp.zeros((slots, num_envs, *shape), jnp.uint8) for shape in shapes]
    return Film(frames, jnp.zeros((rows, num_envs), jnp.int32), jnp.full(num_envs, -2, jnp.int32), stack, axes)


def without_stacks(film: Film, steps: Transition) -> Transition:
    """The steps with None for what the film keeps."""

    def thin(obs: Any) -> Any:
        kept = [x if axis is None else None for x, axis in zip(_parts(obs), film.axes, strict=True)]
        return jax.tree.unflatten(jax.tree.structure(obs), kept)

    return steps._replace(obs=thin(steps.obs), next_obs=thin(steps.next_obs))


def write(film: Film, fresh: Transition, row: Array, begins: Array) -> Film:
    """The film with the steps `fresh` [time, env], the first at `row`; those that follow none `begins` [time, env]."""
    place = film.newest + jnp.cumsum(1 + film.stack * begins.astype(jnp.int32), axis=0)
    slot = (place[..., None] + _span(film)) % film.frames[0].shape[0]
    env = jnp.arange(place.shape[1])[:, None]
    frames = []
    for old, obs, next_obs in zip(film.frames, _stacks(film, fresh.obs), _stacks(film, fresh.next_obs), strict=True):
        # Within an episode all but the last of these are there already, and are written as they are.
        frames.append(old.at[slot, env].set(jnp.concatenate([obs, next_obs[:, :, -1:]], axis=2)))
    places = jax.lax.dynamic_update_slice(film.place, place, (row, 0))
    return Film(frames, places, place[-1], film.stack, film.axes)


def restore(film: Film, steps: Transition, row: Array, env: Array) -> Transition:
    """The steps of rows [time, batch] and columns [batch] with their stacks; weight 0 where frames are gone."""
    number = film.place[row, env][..., None] + _span(film)
    slots = film.frames[0].shape[0]
    gone = number[..., 0] <= film.newest[env] + 1 - slots
    found = [x[number % slots, env[:, None]] for x in film.frames]
    obs, next_obs = (_whole(film, thin, found, part) for part, thin in enumerate((steps.obs, steps.next_obs)))
    return steps._replace(obs=obs, next_obs=next_obs, weight=jnp.where(gone, 0, steps.weight))


def _whole(film: Film, thin: Any, found: list[Array], later: int) -> Any:
    """An observation of which `thin` lacks the stacks; `found` has them [time, batch, stack + 1, ...]."""
    stacks = iter(found)
    parts, tree = jax.tree.flatten(thin, is_leaf=lambda x: x is None)
    for index, axis in enumerate(film.axes):
        if axis is not None:
            stack = next(stacks)[:, :, later : later + film.stack]
            parts[index] = jnp.moveaxis(stack, 2, axis) if axis < 0 else stack
    return jax.tree.unflatten(tree, parts)


def _span(film: Film) -> Array:
    """From the oldest frame of an observation to the newest of the next, counted from its own newest."""
    return jnp.arange(1 - film.stack, 2)


def _stacks(film: Film, obs: Any) -> list[Array]:
    """The stacks of observations [time, env, ...], each [time, env, stack, ...]."""
    return [jnp.moveaxis(x, axis, 2) if axis < 0 else x for x, axis in zip(_parts(obs), film.axes) if axis is not None]


def _parts(obs: Any) -> list[Any]:
    return jax.tree.leaves(obs)


def _axis(x: Any, stack: int) -> int | None:
    """Where the stack lies in one observation's part."""
    if x.dtype != jnp.uint8 or x.ndim < 3:
        return None
    return 0 if x.shape[0] == stack else -1 if x.shape[-1] == stack else None
