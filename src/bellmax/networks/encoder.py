"""From any observation to one vector of features."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.networks.conv import Convolutions
from bellmax.networks.mlp import MLP, Activation
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, Privileged, Space, Tree, is_image


class Encoder(eqx.Module):
    """An observation (any tree of spaces) -> features [size].

    Choices become one-hot, pixels go through convolutions, numbers stay as they are; all of it is put in a row.
    A mask of legal actions is not a feature and is left out; so is what is privileged, unless asked for.
    """

    convolutions: list[Convolutions]
    spaces: tuple[Space, ...] = eqx.field(static=True)
    privileged: bool = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __init__(self, key: Array, space: Tree, privileged: bool = False):
        self.privileged = privileged
        self.spaces = tuple(jax.tree.leaves(_seen(space, privileged)))
        keys = jax.random.split(key, max(len(self.spaces), 1))
        self.convolutions = [
            Convolutions(k, leaf.shape, _high(leaf)) for k, leaf in zip(keys, self.spaces) if is_image(leaf)
        ]
        images = iter(self.convolutions)
        self.size = sum(next(images).size if is_image(leaf) else _width(leaf) for leaf in self.spaces)

    def __call__(self, obs: Any) -> Array:
        images = iter(self.convolutions)
        leaves = jax.tree.leaves(_seen(obs, self.privileged))
        return jnp.concatenate(
            [next(images)(x) if is_image(leaf) else _numbers(leaf, x) for leaf, x in zip(self.spaces, leaves)]
        )


class Torso(eqx.Module):
    """An observation -> features [size]: an encoder, then dense layers."""

    encoder: Encoder
    mlp: MLP
    size: int = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        space: Tree,
        hidden: tuple[int, ...],
        activation: Activation = "tanh",
        privileged: bool = False,
    ):
        encoder_key, mlp_key = jax.random.split(key)
        self.encoder = Encoder(encoder_key, space, privileged)
        self.mlp = MLP(mlp_key, (self.encoder.size, *hidden), activation)
        self.size = hidden[-1] if hidden else self.encoder.size

    def __call__(self, obs: Any) -> Array:
        return self.mlp(self.encoder(obs))


def _seen(obs: Any, privileged: bool) -> Any:
    """What there is to see of an observation or its space."""
    obs = obs.obs if isinstance(obs, Masked) else obs
    return obs.obs if isinstance(obs, Privileged) and not privileged else obs


def _high(space: Box) -> float:
    """The largest number that a picture holds: 255, or less where small whole numbers name what is seen."""
    high = float(np.max(space.bounds()[1]))
    return high if np.isfinite(high) and high > 0 else 255.0


def _width(space: Space) -> int:
    if isinstance(space, Discrete | MultiBinary):
        return space.n
    return sum(space.counts) if isinstance(space, MultiDiscrete) else int(np.prod(space.shape))


def _numbers(space: Space, x: Array) -> Array:
    if isinstance(space, Discrete):
        return jax.nn.one_hot(x, space.n)
    if isinstance(space, MultiDiscrete):
        return jnp.concatenate([jax.nn.one_hot(x[i], n) for i, n in enumerate(space.counts)])
    return jnp.asarray(x, jnp.float32).reshape(-1)
