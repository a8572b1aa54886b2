"""Convolutions for pixels."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.mlp import orthogonal

# (channels, kernel, stride): Mnih et al., 2015 (https://doi.org/10.1038/nature14236); one layer for tiny grids
# such as MinAtar's, as in Young & Tian, 2019 (https://arxiv.org/abs/1903.03176).
NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
SMALL = ((16, 3, 1),)


class Convolutions(eqx.Module):
    """An image [height, width, channel] or [channel, height, width] -> features [size].

    uint8 pixels are divided by `high`, the largest they can be. The channel axis is the last where the first two are
    equal, the first where the last two are, and otherwise the smaller of the outer two.
    Images with a side under 36 pixels get one small layer, larger ones the Nature network.
    """

    kernels: list[Array]
    biases: list[Array]
    strides: tuple[int, ...] = eqx.field(static=True)
    channels_first: bool = eqx.field(static=True)
    size: int = eqx.field(static=True)
    high: float = eqx.field(static=True)

    def __init__(self, key: Array, shape: tuple[int, ...], high: float = 255.0):
        self.channels_first = shape[0] != shape[1] and (shape[1] == shape[2] or shape[0] < shape[2])
        self.high = high
        height, width, channels = self._height_width_channels(shape)
        layers = NATURE if min(height, width) >= 36 else SMALL
        keys = jax.random.split(key, len(layers))
        self.kernels, self.biases = [], []
        for layer_key, (outputs, kernel, stride) in zip(keys, layers):
            weight = orthogonal(layer_key, (kernel * kernel * channels, outputs), 2**0.5)
            self.kernels.append(weight.reshape(kernel, kernel, channels, outputs))
            self.biases.append(jnp.zeros(outputs))
            height, width, channels = (height - kernel) // stride + 1, (width - kernel) // stride + 1, outputs
        self.strides = tuple(stride for _, _, stride in layers)
        self.size = height * width * channels

    def _height_width_channels(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        return (shape[1], shape[2], shape[0]) if self.channels_first else (shape[0], shape[1], shape[2])

    def __call__(self, image: Array) -> Array:
        x = image / self.high if image.dtype == jnp.uint8 else image.astype(jnp.float32)
        x = (x.transpose(1, 2, 0) if self.channels_first else x)[None]
        for kernel, bias, stride in zip(self.kernels, self.biases, self.strides):
            x = jax.nn.relu(convolve(x, kernel, stride) + bias)
        return x.reshape(-1)


def convolve(images: Array, kernel: Array, stride: int) -> Array:
    """[batch, height, width, channels] with [side, side, channels, outputs], without padding -> [batch, ..., outputs].

    On the CPU as one product of matrices: within a loop, where training is, XLA's own convolutions there are slow
    (seven times as slow for the Nature network at batch 32, measured; outside of loops the two are alike). Which of the
    two is decided while tracing, by JAX's default device: a choice within the program could not be exported to ONNX.
    """
    on_cpu = jax.default_backend() == "cpu"
    return (_as_product if on_cpu else _as_convolution)(images, kernel, stride)


def _as_convolution(images: Array, kernel: Array, stride: int) -> Array:
    return jax.lax.conv_general_dilated(
        images, kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _as_product(images: Array, kernel: Array, stride: int) -> Array:
    side, _, channels, outputs = kernel.shape
    batch, height, width, _ = images.shape
    rows, columns = (height - side) // stride + 1, (width - side) // stride + 1
    seen = [
        images[:, i : i + stride * (rows - 1) + 1 : stride, j : j + stride * (columns - 1) + 1 : stride]
        for i in range(side)
        for j in range(side)
    ]  # what each weight of the kernel meets, everywhere
    patches = jnp.concatenate(seen, axis=-1).reshape(-1, side * side * channels)
    return (patches @ kernel.reshape(-1, outputs)).reshape(batch, rows, columns, outputs)
