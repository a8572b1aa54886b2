"""From features back to what was seen."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.two_hot import symexp, symlog
from bellmax.networks.conv import NATURE, SMALL, convolve
from bellmax.networks.mlp import MLP, Dense, orthogonal
from bellmax.networks.normed import normed
from bellmax.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space, Tree, is_image


class Decoder(eqx.Module):
    """Features [inputs] -> an observation, any tree of spaces without masks.

    Numbers are predicted by their symlog, pixels as the share of the largest that they can be, choices as logits:
    Hafner et al., 2023 (https://arxiv.org/abs/2301.04104), eqs. 4 and 9.
    """

    trunk: MLP
    numbers: list[Dense]  # of every leaf that is no picture
    images: list[ImageDecoder]
    spaces: tuple[Space, ...] = eqx.field(static=True)
    tree: Any = eqx.field(static=True)

    def __init__(self, key: Array, inputs: int, space: Tree, hidden: tuple[int, ...]):
        trunk_key, *keys = jax.random.split(key, 1 + len(jax.tree.leaves(space)))
        leaves, self.tree = jax.tree.flatten(space)
        self.spaces = tuple(leaves)
        self.trunk = normed(MLP(trunk_key, (inputs, *hidden), "swish"))
        keyed = list(zip(keys, self.spaces))
        self.numbers = [Dense(k, hidden[-1], _width(leaf)) for k, leaf in keyed if not is_image(leaf)]
        self.images = [ImageDecoder(k, hidden[-1], leaf.shape) for k, leaf in keyed if is_image(leaf)]

    def __call__(self, features: Array) -> list[Array]:
        """What there is for every leaf, before it is what the leaf's space holds."""
        x, numbers, images = self.trunk(features), iter(self.numbers), iter(self.images)
        return [next(images)(x) if is_image(leaf) else next(numbers)(x) for leaf in self.spaces]

    def error(self, features: Array, obs: Any) -> Array:
        """How far it is from `obs`: squared errors, and minus log-probabilities of choices, summed -> []."""
        pairs = zip(self.spaces, self(features), jax.tree.leaves(obs))
        return sum((_error(space, out, x) for space, out, x in pairs), jnp.zeros(()))

    def picture(self, features: Array) -> Any:
        """The observation itself."""
        return jax.tree.unflatten(self.tree, [_element(s, out) for s, out in zip(self.spaces, self(features))])


class ImageDecoder(eqx.Module):
    """x [inputs] -> an image of `shape`: the layers of `Convolutions`, backwards and transposed."""

    start: Dense
    kernels: list[Array]
    biases: list[Array]
    strides: tuple[int, ...] = eqx.field(static=True)
    sides: tuple[tuple[int, int, int], ...] = eqx.field(static=True)  # height, width, channels; from the image down
    channels_first: bool = eqx.field(static=True)

    def __init__(self, key: Array, inputs: int, shape: tuple[int, ...]):
        self.channels_first = shape[0] != shape[1] and (shape[1] == shape[2] or shape[0] < shape[2])
        height, width, channels = (*shape[1:], shape[0]) if self.channels_first else shape
        layers = NATURE if min(height, width) >= 36 else SMALL
        keys = jax.random.split(key, len(layers) + 1)
        sides, self.kernels, self.biases = [(height, width, channels)], [], []
        for layer_key, (outputs, kernel, stride) in zip(keys, layers):
            weight = orthogonal(layer_key, (kernel * kernel * outputs, channels), 1.0)
            self.kernels.append(weight.reshape(kernel, kernel, outputs, channels))
            self.biases.append(jnp.zeros(channels))
            height, width, channels = (height - kernel) // stride + 1, (width - kernel) // stride + 1, outputs
            sides.append((height, width, channels))
        self.sides, self.strides = tuple(sides), tuple(stride for _, _, stride in layers)
        self.start = Dense(keys[-1], inputs, height * width * channels)

    def __call__(self, x: Array) -> Array:
        image = self.start(x).reshape(1, *self.sides[-1])
        for i in reversed(range(len(self.kernels))):
            image = transposed(jax.nn.swish(image), self.kernels[i], self.strides[i], self.sides[i]) + self.biases[i]
        return image[0].transpose(2, 0, 1) if self.channels_first else image[0]


def transposed(images: Array, kernel: Array, stride: int, shape: tuple[int, int, int]) -> Array:
    """The transpose of a convolution without padding that made `images` of images of `shape` -> [batch, *shape].

    Zeros between the rows and columns and around them, then a convolution; edges that the stride left out get zeros.
    """
    side = kernel.shape[0] - 1
    short = [target - ((n - 1) * stride + side + 1) for target, n in zip(shape, images.shape[1:3])]
    padding = [(0, 0, 0), *((side, side + missing, stride - 1) for missing in short), (0, 0, 0)]
    return convolve(jax.lax.pad(images, jnp.zeros((), images.dtype), padding), kernel, 1)


def _width(space: Space) -> int:
    if isinstance(space, Discrete | MultiBinary):
        return space.n
    return sum(space.counts) if isinstance(space, MultiDiscrete) else math.prod(space.shape)


def _error(space: Space, out: Array, x: Array) -> Array:
    if isinstance(space, Discrete):
        return -_log_prob(out, x)
    if isinstance(space, MultiDiscrete):
        return -sum((_log_prob(part, x[i]) for i, part in enumerate(_parts(space, out))), jnp.zeros(()))
    if is_image(space):
        return jnp.square(_shown(space, out) - _scaled(space, x)).sum()
    return jnp.square(out - symlog(jnp.asarray(x, jnp.float32).ravel())).sum()


def _element(space: Space, out: Array) -> Array:
    if isinstance(space, Discrete):
        return out.argmax().astype(jnp.int32)
    if isinstance(space, MultiDiscrete):
        return jnp.stack([part.argmax() for part in _parts(space, out)]).astype(jnp.int32)
    if isinstance(space, MultiBinary):
        return (symexp(out) > 0.5).astype(jnp.int32)
    if is_image(space) and space.dtype == "uint8":
        return jnp.round(_shown(space, out) * _high(space)).astype(jnp.uint8)
    return (out if is_image(space) else symexp(out).reshape(space.shape)).astype(space.dtype)


def _shown(space: Box, out: Array) -> Array:
    return jax.nn.sigmoid(out) if space.dtype == "uint8" else out


def _scaled(space: Box, x: Array) -> Array:
    return x.astype(jnp.float32) / (_high(space) if space.dtype == "uint8" else 1.0)


def _high(space: Box) -> float:
    return float(space.bounds()[1].max())


def _parts(space: MultiDiscrete, out: Array) -> list[Array]:
    ends = [sum(space.counts[: i + 1]) for i in range(len(space.counts) - 1)]
    return jnp.split(out, ends)


def _log_prob(logits: Array, choice: Array) -> Array:
    return jnp.where(jnp.arange(len(logits)) == choice, jax.nn.log_softmax(logits), 0).sum()
