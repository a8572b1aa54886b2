"""Pictures in a few numbers, and back."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.conv import convolve
from bellmax.networks.mlp import Dense, orthogonal


class Autoencoder(eqx.Module):
    """A variational autoencoder (Kingma & Welling, 2014, https://arxiv.org/abs/1312.6114) of [height, width, channels].

    Convolutions of 4 pixels with a stride of 2 while a side has 10 or more, then a normal over `latent` numbers; back
    through dense layers.
    """

    kernels: list[Array]
    biases: list[Array]
    mean: Dense
    log_std: Dense
    decoder: tuple[Dense, Dense]
    shape: tuple[int, int, int] = eqx.field(static=True)

    def __init__(self, key: Array, shape: tuple[int, int, int], latent: int, hidden: int):
        height, width, channels = shape
        keys, self.kernels, self.biases, self.shape = list(jax.random.split(key, 12)), [], [], shape
        while min(height, width) >= 10:
            outputs = min(16 * 2 ** len(self.kernels), 64)
            self.kernels.append(orthogonal(keys.pop(), (16 * channels, outputs), 2**0.5).reshape(4, 4, channels, -1))
            self.biases.append(jnp.zeros(outputs))
            height, width, channels = (height - 4) // 2 + 1, (width - 4) // 2 + 1, outputs
        self.mean, self.log_std = (Dense(keys.pop(), height * width * channels, latent, 0.1) for _ in range(2))
        size = shape[0] * shape[1] * shape[2]
        self.decoder = Dense(keys.pop(), latent, hidden, 2**0.5), Dense(keys.pop(), hidden, size, 0.1)

    def encode(self, pictures: Array) -> tuple[Array, Array]:
        """Pictures [batch, ...], uint8 or 0 to 1 -> mean and log of the deviation of z, [batch, latent]."""
        x = scaled(pictures)
        for kernel, bias in zip(self.kernels, self.biases):
            x = jax.nn.relu(convolve(x, kernel, 2) + bias)
        x = x.reshape(len(x), -1)
        return jax.vmap(self.mean)(x), jnp.clip(jax.vmap(self.log_std)(x), -6.0, 2.0)

    def decode(self, z: Array) -> Array:
        """z [latent] -> a picture [height, width, channels] of 0 to 1."""
        return jax.nn.sigmoid(self.decoder[1](jax.nn.relu(self.decoder[0](z)))).reshape(self.shape)


def scaled(pictures: Array) -> Array:
    """uint8 -> 0 to 1."""
    return pictures / 255.0 if pictures.dtype == jnp.uint8 else pictures


def unscaled(pictures: Array, dtype: Any) -> Array:
    """0 to 1 -> what `scaled` made them of."""
    return jnp.round(pictures * 255.0).astype(jnp.uint8) if dtype == jnp.uint8 else pictures.astype(dtype)
