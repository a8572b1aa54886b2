"""Layer normalisation (Ba et al., 2016), https://arxiv.org/abs/1607.06450, in networks that are made without it."""

from __future__ import annotations

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.conv import Convolutions
from bellmax.networks.mlp import Dense

Network = TypeVar("Network")


class LayerNorm(eqx.Module):
    """x -> scale (x - mean) / sqrt(variance + epsilon) + offset over the last axis: [..., size] -> [..., size]."""

    scale: Array
    offset: Array
    epsilon: float = eqx.field(static=True, default=1e-6)

    def __init__(self, size: int):
        self.scale, self.offset = jnp.ones(size), jnp.zeros(size)

    def __call__(self, x: Array) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        deviation = jnp.sqrt(jnp.square(centred).mean(-1, keepdims=True) + self.epsilon)
        return self.scale * centred / deviation + self.offset


class NormedDense(eqx.Module):
    """A dense layer, then layer norm."""

    dense: Dense
    norm: LayerNorm

    def __init__(self, dense: Dense):
        self.dense, self.norm = dense, LayerNorm(len(dense.bias))

    def __call__(self, x: Array) -> Array:
        return self.norm(self.dense(x))


class NormedConvolutions(eqx.Module):
    """Convolutions with layer norm over the channels of every place, before the activation."""

    convolutions: Convolutions
    norms: list[LayerNorm]

    def __init__(self, convolutions: Convolutions):
        self.convolutions = convolutions
        self.norms = [LayerNorm(len(bias)) for bias in convolutions.biases]

    def __call__(self, image: Array) -> Array:
        plain = self.convolutions
        x = image / plain.high if image.dtype == jnp.uint8 else image.astype(jnp.float32)
        x = (x.transpose(1, 2, 0) if plain.channels_first else x)[None]
        for kernel, bias, stride, norm in zip(plain.kernels, plain.biases, plain.strides, self.norms):
            x = jax.lax.conv_general_dilated(
                x, kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(norm(x + bias))
        return x.reshape(-1)


def normed(network: Network) -> Network:
    """The network with layer norm after every dense layer and convolution.

    Meant for a torso, where an activation follows each; a head stays as it is.
    """

    def with_norm(part: Any) -> Any:
        if isinstance(part, Dense):
            return NormedDense(part)
        return NormedConvolutions(part) if isinstance(part, Convolutions) else part

    return jax.tree.map(with_norm, network, is_leaf=lambda part: isinstance(part, Dense | Convolutions))
