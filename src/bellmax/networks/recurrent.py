"""Cells that remember: memory and features in, memory and features out."""

from __future__ import annotations

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.mlp import orthogonal


class Recurrent(eqx.Module):
    """A GRU (Cho et al., 2014) or an LSTM (Hochreiter & Schmidhuber, 1997); orthogonal weights, zero biases.

    The memory is an array [size] for "gru" and a pair of them for "lstm"; it starts at zero.
    """

    cell: eqx.nn.GRUCell | eqx.nn.LSTMCell

    def __init__(self, key: Array, inputs: int, size: int, kind: Literal["gru", "lstm"] = "gru"):
        cell_key, init_key = jax.random.split(key)
        cell = {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}[kind](inputs, size, key=cell_key)
        leaves, tree = jax.tree.flatten(cell)
        keys = jax.random.split(init_key, len(leaves))
        fresh = [orthogonal(k, x.shape, 1.0) if x.ndim == 2 else jnp.zeros_like(x) for k, x in zip(keys, leaves)]
        self.cell = jax.tree.unflatten(tree, fresh)

    def begin(self) -> Any:
        """The memory at the start of an episode."""
        zero = jnp.zeros(self.cell.hidden_size)
        return zero if isinstance(self.cell, eqx.nn.GRUCell) else (zero, zero)

    def __call__(self, memory: Any, features: Array) -> tuple[Any, Array]:
        """memory, features [inputs] -> memory, features [size]."""
        memory = self.cell(features, memory)
        return memory, memory if isinstance(self.cell, eqx.nn.GRUCell) else memory[0]
