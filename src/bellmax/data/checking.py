"""Do logged steps fit an environment? Everything is looked at before anything is learned."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from bellmax.core import Spec, Transition
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, Tree, zeros

NEAR = 1e-4  # so much, of a box's width, may an action be outside: float32 and float64 differ


class DataError(ValueError):
    """Logged steps that cannot be learned from; the message says which field, and what to do."""


def of_spec(steps: Transition, spec: Spec, source: str) -> Transition:
    """The steps with the shapes and dtypes of the spec. DataError where something does not fit."""
    count = len(steps.reward)
    if count == 0:
        raise DataError(f"{source}: no steps are left: every one was cut, and without 'next_obs' leads nowhere.")
    parts = {
        "obs": (steps.obs, spec.obs),
        "action": (steps.action, spec.action),
        "next_obs": (steps.next_obs, spec.obs),
    }
    made = {name: _fitting(tree, space, name, count, source) for name, (tree, space) in parts.items()}
    reward = np.asarray(steps.reward)
    if reward.shape != (count,):
        raise DataError(f"{source}: reward has the shape {reward.shape}: give one number a step, {(count,)}.")
    for name in ("discount", "last", "weight"):
        if np.shape(getattr(steps, name)) != (count,):
            raise DataError(f"{source}: {name} has {len(getattr(steps, name))} steps, reward {count}: give as many.")
    _finite(reward, "reward", source)
    numbers: dict[str, Any] = {"reward": np.float32(reward), "last": np.asarray(steps.last, bool)}
    numbers |= {"discount": np.float32(steps.discount), "weight": np.float32(steps.weight)}
    return Transition(**made, **numbers, extras={})


def _fitting(tree: Any, space: Tree, name: str, count: int, source: str) -> Any:
    """Arrays [steps, ...] as the space has them."""
    wanted = jax.eval_shape(lambda: zeros(space))
    structure: Any = jax.tree.structure(wanted)
    if jax.tree.structure(tree) != structure:
        raise DataError(f"{source}: {name} is no {_shape_of(space)}, which the environment has: give all its parts.")
    spaces = jax.tree.leaves(_flat(space))
    fitted = [
        _leaf(np.asarray(x), like, leaf, name, count, source)
        for x, like, leaf in zip(jax.tree.leaves(tree), jax.tree.leaves(wanted), spaces, strict=True)
    ]
    return jax.tree.unflatten(structure, fitted)


def _leaf(x: np.ndarray, like: Any, space: Any, name: str, count: int, source: str) -> np.ndarray:
    if x.shape == (count, 1) and like.shape == ():
        x = x[:, 0]
    if x.shape == (count,) and like.shape == (1,):
        x = x[:, None]
    if x.shape != (count, *like.shape):
        raise DataError(
            f"{source}: {name} has the shape {x.shape}, but the environment's is {like.shape}, which makes "
            f"{(count, *like.shape)}: is it data of another environment?"
        )
    _finite(x, name, source)
    if not np.issubdtype(x.dtype, np.number) and x.dtype != bool:
        raise DataError(f"{source}: {name} holds {x.dtype}: give numbers.")
    if not isinstance(space, Box) and not np.array_equal(x, np.floor(x)):
        raise DataError(f"{source}: {name} holds {x[x != np.floor(x)].flat[0]}, but chooses: give whole numbers.")
    if name == "action" or not isinstance(space, Box):
        _inside(x, space, name, source)
    x = np.clip(x, *space.bounds()) if name == "action" and isinstance(space, Box) else x
    return np.ascontiguousarray(x, like.dtype)


def _inside(x: np.ndarray, space: Any, name: str, source: str) -> None:
    """DataError where an element is not in the space."""
    if isinstance(space, Box):
        low, high = space.bounds()
        slack = NEAR * np.where(np.isfinite(high - low), high - low, 1)
        low, high, remedy = low - slack, high + slack, "clip them, as the environment does, or scale them to its units"
    elif isinstance(space, MultiDiscrete):
        low, high, remedy = np.zeros(len(space.counts)), np.array(space.counts) - 1, "count from 0"
    else:
        low, high, remedy = np.array(0), np.array(space.n - 1 if isinstance(space, Discrete) else 1), "count from 0"
    outside = (x < low) | (x > high)
    if outside.any():
        place = np.argwhere(outside)[0]
        bounds = tuple(np.broadcast_to(bound, x.shape)[tuple(place)] for bound in (low, high))
        raise DataError(
            f"{source}: {name} of step {place[0]} is {x[tuple(place)]}, outside of {bounds[0]:g} .. {bounds[1]:g} (as "
            f"{outside.sum():,} numbers are): {remedy}."
        )


def _finite(x: np.ndarray, name: str, source: str) -> None:
    if np.issubdtype(x.dtype, np.floating) and not np.isfinite(x).all():
        step = np.argwhere(~np.isfinite(x))[0][0]
        raise DataError(f"{source}: {name} of step {step} is {x[step]}: leave out or mend what is not a number.")


def _flat(space: Tree) -> Tree:
    """The space with the parts of masks told apart: a mask is of switches."""
    return jax.tree.map(
        lambda leaf: {"obs": _flat(leaf.obs), "other": MultiBinary(leaf.legal.n)} if isinstance(leaf, Masked) else leaf,
        space,
        is_leaf=lambda leaf: isinstance(leaf, Masked),
    )


def _shape_of(space: Tree) -> str:
    return f"tree of {len(jax.tree.leaves(space))} parts" if not isinstance(space, Box | Discrete) else str(space)
