"""Low-rank adapters (Hu et al., 2021, https://arxiv.org/abs/2106.09685): x W + (alpha / rank) x A B, A and B trained.

W stays. B begins as zero: an adapted model begins as the model it adapts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.language.layers import Linear

PLACES = ("query", "key", "value", "output", "gate", "up", "down")


class Adapted(eqx.Module):
    """A linear map that stays, and what is learned on top of it."""

    base: Linear
    low: Array  # A, [inputs, rank]
    high: Array  # B, [rank, outputs]
    scale: float = eqx.field(static=True)  # alpha / rank

    def __call__(self, x: Array) -> Array:
        return self.base(x) + (x @ self.low.astype(x.dtype)) @ self.high.astype(x.dtype) * self.scale


def adapted(key: Array, model: Any, rank: int, alpha: float | None = None, places: Sequence[str] = PLACES) -> Any:
    """The model with adapters of this rank at the linear maps of these names; alpha is 2 rank if left out.

    ValueError if there is no such place, or the model has adapters.
    """
    if is_adapted(model):
        raise ValueError("adapters: the model has adapters: merge them into it first, with merged(model).")
    unknown = sorted(set(places) - set(PLACES))
    if unknown or rank < 1:
        raise ValueError(f"adapters: rank = {rank}, places = {list(places)}: rank 1 or more, of {', '.join(PLACES)}.")
    spots = [(i, part, name) for i in range(len(model.layers)) for part, name in _spots(model.layers[i], places)]
    keys = jax.random.split(key, max(len(spots), 1))

    def made(key: Array, base: Linear) -> Adapted:
        inputs, outputs = base.weight.shape
        low = jax.random.normal(key, (inputs, rank)) / inputs**0.5
        return Adapted(base, low, jnp.zeros((rank, outputs)), (2 * rank if alpha is None else alpha) / rank)

    def where(model: Any) -> list[Linear]:
        return [getattr(getattr(model.layers[i], part), name) for i, part, name in spots]

    return eqx.tree_at(where, model, [made(k, base) for k, base in zip(keys, where(model))])


def _spots(layer: Any, places: Sequence[str]) -> list[tuple[str, str]]:
    both = [("attention", name) for name in ("query", "key", "value", "output")]
    both += [("feed_forward", name) for name in ("gate", "up", "down")]
    return [(part, name) for part, name in both if name in places and getattr(getattr(layer, part), name) is not None]


def merged(model: Any) -> Any:
    """The model with what its adapters learned added to its weights, and without adapters."""

    def merge(x: Any) -> Any:
        if not isinstance(x, Adapted):
            return x
        return eqx.tree_at(lambda base: base.weight, x.base, x.base.weight + x.scale * x.low @ x.high)

    return jax.tree.map(merge, model, is_leaf=_is_adapted)


def without(model: Any) -> Any:
    """The model as it was before it was adapted."""
    return jax.tree.map(lambda x: x.base if isinstance(x, Adapted) else x, model, is_leaf=_is_adapted)


def is_adapted(model: Any) -> bool:
    """Does it have adapters?"""
    return any(map(_is_adapted, jax.tree.leaves(model, is_leaf=_is_adapted)))


def trained(models: Any) -> tuple[Any, Any]:
    """What is trained of a model, and the rest, with None in each other's places: the adapters if there are any.

    A value or score head on an adapted model is trained whole. Of several models, each is looked at by itself.
    """
    return eqx.partition(models, jax.tree.map(_chosen, models, is_leaf=lambda x: isinstance(x, eqx.Module)))


def kept(model: Any) -> Any:
    """A copy of what is trained of a model: all that is needed to have it back, later, as it is now."""
    return jax.tree.map(jnp.copy, trained(model)[0])


def as_it_was(model: Any, before: Any) -> Any:
    """The model when `before` was kept of it."""
    return eqx.combine(before, trained(model)[1])


def _chosen(model: Any) -> Any:
    """True for the arrays of a model that are trained."""
    if not is_adapted(model):
        return jax.tree.map(eqx.is_array, model)

    def mask(x: Any) -> Any:
        if not _is_adapted(x):
            return False
        nothing = jax.tree.map(lambda _: False, x.base)
        return Adapted(nothing, True, True, x.scale)  # type: ignore[arg-type]

    chosen = jax.tree.map(mask, model, is_leaf=_is_adapted)
    if hasattr(model, "score"):
        chosen = eqx.tree_at(lambda m: m.score, chosen, jax.tree.map(lambda _: True, model.score))
    return chosen


def _is_adapted(x: Any) -> bool:
    return isinstance(x, Adapted)
