"""Noisy networks (Fortunato et al., 2018), https://arxiv.org/abs/1706.10295, with factorised noise.

A network is made as ever; `noisy` gives each of its dense layers a mean and a deviation, `drawn` is the plain network
of one draw of the noise, `quiet` the one of the means. Convolutions have no noise, as in the paper.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.mlp import Dense


class NoisyDense(eqx.Module):
    """A dense layer drawn anew each time: W = mu + sigma eps, b likewise (section 3).

    Factorised: eps_ij = f(eps_i) f(eps_j) with f(x) = sgn(x) sqrt|x|, one normal number an input and one an output.
    The means start evenly in +-1 / sqrt(inputs), the deviations at sigma / sqrt(inputs) (section 3.2).
    """

    mean: Dense
    deviation: Dense

    def __init__(self, dense: Dense, key: Array, sigma: float | Array):
        weight_key, bias_key = jax.random.split(key)
        reach = len(dense.weight) ** -0.5
        weight = jax.random.uniform(weight_key, dense.weight.shape, minval=-reach, maxval=reach)
        bias = jax.random.uniform(bias_key, dense.bias.shape, minval=-reach, maxval=reach)
        self.mean = with_numbers(dense, weight, bias)
        self.deviation = jax.tree.map(lambda x: jnp.full_like(x, sigma * reach), dense)

    def draw(self, key: Array) -> Dense:
        """The layer of one draw of the noise."""
        inputs, outputs = self.mean.weight.shape
        noise = jax.random.normal(key, (inputs + outputs,))
        noise = jnp.sign(noise) * jnp.sqrt(jnp.abs(noise))
        weight = self.deviation.weight * noise[:inputs, None] * noise[inputs:]
        bias = self.deviation.bias * noise[inputs:]
        return with_numbers(self.mean, self.mean.weight + weight, self.mean.bias + bias)


def with_numbers(dense: Dense, weight: Array, bias: Array) -> Dense:
    """The layer with another weight and bias."""
    return eqx.tree_at(lambda layer: (layer.weight, layer.bias), dense, (weight, bias))


def noisy(network: Any, key: Array, sigma: float | Array = 0.5) -> Any:
    """The network with noise in every dense layer, which starts anew."""
    layers, tree = jax.tree.flatten(network, is_leaf=lambda part: isinstance(part, Dense))
    keys = jax.random.split(key, len(layers))
    return jax.tree.unflatten(
        tree, [NoisyDense(x, k, sigma) if isinstance(x, Dense) else x for x, k in zip(layers, keys)]
    )


def drawn(network: Any, key: Array) -> Any:
    """The plain network of one draw of the noise, of every layer its own."""
    layers, tree = jax.tree.flatten(network, is_leaf=_is_noisy)
    keys = jax.random.split(key, len(layers))
    return jax.tree.unflatten(tree, [x.draw(k) if _is_noisy(x) else x for x, k in zip(layers, keys)])


def quiet(network: Any) -> Any:
    """The plain network of the means, without noise."""
    return jax.tree.map(lambda x: x.mean if _is_noisy(x) else x, network, is_leaf=_is_noisy)


def _is_noisy(part: Any) -> bool:
    return isinstance(part, NoisyDense)
