"""Batches and weights spread over several devices, by rules on the names of weights.

Devices stand in a mesh with the axes "data", along which the rows of a batch are shared out, and "model", along which
weights are (Shoeybi et al., 2019, https://arxiv.org/abs/1909.08053: maps into heads and hidden units are cut by their
outputs, maps out of them by their inputs). Values stay where they belong with `jax.jit` as it is: XLA adds what has to
be sent. What is computed does not change, but for rounding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXES = ("data", "model")
INTO, OUT_OF = r"\.(query|key|value|gate|up)(\.base)?", r"\.(output|down)(\.base)?"
RULES = (  # the end of a weight's path: which of its axes lie along which of the mesh's
    (rf"{INTO}\.weight$", (None, "model")),
    (rf"{INTO}\.bias$", ("model",)),
    (rf"{INTO}\.high$", (None, "model")),
    (rf"{OUT_OF}\.weight$", ("model", None)),
    (rf"{OUT_OF}\.low$", ("model", None)),
    (r"\.embedding$", ("model", None)),
    (r"\.head\.weight$", (None, "model")),
)


def mesh(data: int, model: int = 1, devices: Sequence[Any] | None = None) -> Mesh:
    """data x model devices, the first there are if they are not given. ValueError if there are fewer."""
    devices = jax.devices() if devices is None else devices
    if data < 1 or model < 1 or data * model > len(devices):
        raise ValueError(
            f"mesh: data = {data}, model = {model}: give whole numbers from 1, {len(devices)} at most together."
        )
    grid = np.array(devices[: data * model]).reshape(data, model)
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * 2)


def of_state(state: Any, over: Mesh) -> Any:
    """Where the arrays of a model, or of a learner's whole state, belong: a tree of shardings.

    An optimiser's moments lie as their weights do. What no rule names, or the axis does not divide, is everywhere.
    """

    def place(path: Any, x: Any) -> NamedSharding:
        name = jax.tree_util.keystr(path)
        for pattern, axes in RULES:
            if re.search(pattern, name) and len(axes) == x.ndim:
                cut = (axis if axis and size % over.shape[axis] == 0 else None for axis, size in zip(axes, x.shape))
                return NamedSharding(over, PartitionSpec(*cut))
        return NamedSharding(over, PartitionSpec())

    return jax.tree_util.tree_map_with_path(place, state)


def of_batch(batch: Any, over: Mesh) -> Any:
    """Where the arrays of a batch belong: their rows along "data". ValueError if it does not divide them."""

    def place(x: Any) -> NamedSharding:
        if x.shape[0] % over.shape["data"]:
            raise ValueError(f"mesh: data = {over.shape['data']}: it must divide the {x.shape[0]} rows of a batch.")
        return NamedSharding(over, PartitionSpec("data"))

    return jax.tree.map(place, batch)


def spread(state: Any, batch: Any, over: Mesh) -> tuple[Any, Any]:
    """A learner's state and a batch, each where it belongs."""
    return jax.device_put(state, of_state(state, over)), jax.device_put(batch, of_batch(batch, over))
