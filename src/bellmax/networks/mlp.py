"""Dense layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

Activation = Literal["tanh", "relu", "swish", "gelu"]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "gelu": jax.nn.gelu,
}


def orthogonal(key: Array, shape: tuple[int, ...], scale: float) -> Array:
    """Orthogonal rows or columns times `scale` (Saxe et al., 2014, https://arxiv.org/abs/1312.6120)."""
    return jax.nn.initializers.orthogonal(scale)(key, shape, jnp.float32)


class Dense(eqx.Module):
    """x [inputs] -> x W + b [outputs]; W orthogonal times `scale`, b zero."""

    weight: Array
    bias: Array

    def __init__(self, key: Array, inputs: int, outputs: int, scale: float = 1.0):
        self.weight = orthogonal(key, (inputs, outputs), scale)
        self.bias = jnp.zeros(outputs)

    def __call__(self, x: Array) -> Array:
        return x @ self.weight + self.bias


class MLP(eqx.Module):
    """Dense layers, each followed by the activation: x [sizes[0]] -> [sizes[-1]].

    A head of its own follows where the last layer must be linear.
    """

    layers: list[Dense]
    activation: Activation = eqx.field(static=True)

    def __init__(self, key: Array, sizes: Sequence[int], activation: Activation = "tanh", scale: float = 2**0.5):
        keys = jax.random.split(key, max(len(sizes) - 1, 1))
        self.layers = [Dense(k, i, o, scale) for k, i, o in zip(keys, sizes, sizes[1:])]
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
        return x
