"""Layer norm: against a loop, in every place it belongs and in no other."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Box, Discrete
from bellmax.networks.encoder import Torso
from bellmax.networks.normed import LayerNorm, NormedConvolutions, NormedDense, normed


def slow_norm(x, scale, offset):
    """Ba et al., 2016, eq. 4: by the mean and deviation of the layer's own numbers."""
    x = np.asarray(x, np.float64)
    mean = sum(x) / len(x)
    variance = sum((x - mean) ** 2) / len(x)
    return scale * (x - mean) / np.sqrt(variance + 1e-6) + offset


def test_layer_norm_is_the_papers():
    x = np.random.default_rng(0).normal(3, 5, (2, 3, 4))
    norm = eqx.tree_at(lambda n: (n.scale, n.offset), LayerNorm(4), (jnp.arange(1.0, 5), jnp.arange(4.0)))
    got = norm(jnp.asarray(x, jnp.float32))
    for row in np.ndindex(2, 3):
        np.testing.assert_allclose(got[row], slow_norm(x[row], np.arange(1, 5), np.arange(4)), rtol=2e-4, atol=1e-4)
    assert np.isfinite(jax.grad(lambda x: norm(x).sum())(jnp.ones(4))).all(), "all alike: nothing to divide by"


def test_a_torso_has_it_after_every_dense_layer_before_the_activation():
    torso = normed(Torso(jax.random.key(0), Box((3,)), (5, 4), "relu"))
    assert [type(layer) for layer in torso.mlp.layers] == [NormedDense, NormedDense]
    obs = np.array([0.5, -2.0, 1.0])
    x = obs
    for layer in torso.mlp.layers:
        x = x @ np.asarray(layer.dense.weight, np.float64) + np.asarray(layer.dense.bias)
        x = np.maximum(slow_norm(x, 1, 0), 0)
    np.testing.assert_allclose(torso(jnp.asarray(obs)), x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(torso(jnp.asarray(10 * obs)), x, rtol=1e-3, atol=1e-4)  # the scale of obs is forgotten


@pytest.mark.parametrize("shape", [(6, 5, 2), (2, 6, 5)], ids=["channels last", "channels first"])
def test_pixels_are_normed_over_the_channels_of_each_place(shape):
    torso = normed(Torso(jax.random.key(0), Box(shape, 0, 255, "uint8"), (), "relu"))
    convolutions = torso.encoder.convolutions[0]
    assert type(convolutions) is NormedConvolutions
    image = np.random.default_rng(1).integers(256, size=shape).astype(np.uint8)
    seen = (image if shape[0] == 6 else image.transpose(1, 2, 0)) / 255.0
    kernel = np.asarray(convolutions.convolutions.kernels[0], np.float64)
    out = np.zeros((4, 3, 16))
    for row, column in np.ndindex(4, 3):
        patch = seen[row : row + 3, column : column + 3]
        sums = np.einsum("hwc,hwco->o", patch, kernel)
        out[row, column] = np.maximum(slow_norm(sums, 1, 0), 0)
    np.testing.assert_allclose(torso(jnp.asarray(image)), out.reshape(-1), rtol=1e-3, atol=1e-4)


def test_a_normed_torso_is_arrays_that_jit_and_vmap():
    torso = normed(Torso(jax.random.key(0), {"image": Box((8, 8, 3)), "choice": Discrete(3)}, (5,)))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(torso))
    obs = {"image": jnp.ones((2, 8, 8, 3)), "choice": jnp.array([0, 2])}
    assert jax.jit(jax.vmap(torso))(obs).shape == (2, 5)
