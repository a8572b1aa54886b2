"""Noisy layers: the noise has the paper's form and size, and the means are there without it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Box, Discrete
from bellmax.networks.mlp import Dense
from bellmax.networks.noisy import NoisyDense, drawn, noisy, quiet
from bellmax.networks.value_networks import QNetwork

INPUTS, OUTPUTS = 4, 3


@pytest.fixture(scope="module")
def layer():
    return NoisyDense(Dense(jax.random.key(0), INPUTS, OUTPUTS), jax.random.key(1), 0.5)


def test_it_starts_as_in_the_paper():
    layer = NoisyDense(Dense(jax.random.key(0), 100, 200), jax.random.key(1), 0.5)
    # means evenly in +-1 / sqrt(100), of deviation 0.1 / sqrt 3; deviations 0.5 / sqrt(100), biases too
    for mean, deviation in zip(jax.tree.leaves(layer.mean), jax.tree.leaves(layer.deviation)):
        assert np.abs(mean).max() <= 0.1
        assert np.std(mean) == pytest.approx(0.1 / np.sqrt(3), rel=0.15)
        np.testing.assert_allclose(deviation, 0.05, rtol=1e-6)


def test_one_draw_is_a_product_of_a_noise_for_inputs_and_one_for_outputs(layer):
    plain = layer.draw(jax.random.key(2))
    noise = (plain.weight - layer.mean.weight) / layer.deviation.weight
    of_outputs = (plain.bias - layer.mean.bias) / layer.deviation.bias  # f(eps_j) itself
    assert np.linalg.matrix_rank(np.asarray(noise), tol=1e-4) == 1
    np.testing.assert_allclose(noise[0] / noise[0, 0], of_outputs / of_outputs[0], rtol=1e-4)


def test_the_noise_is_sgn_x_sqrt_x_of_normals(layer):
    keys = jax.random.split(jax.random.key(3), 4_000)
    biases = jax.vmap(layer.draw)(keys).bias
    f = np.asarray((biases - layer.mean.bias) / layer.deviation.bias)
    # E f = 0; f^2 = |eps|: mean sqrt(2 / pi) = 0.798; f^4 = eps^2: mean 1
    assert np.abs(f.mean(0)).max() < 4 * 0.9 / np.sqrt(4_000)
    np.testing.assert_allclose((f**2).mean(0), np.sqrt(2 / np.pi), atol=0.05)
    np.testing.assert_allclose((f**4).mean(0), 1, atol=0.12)
    assert np.abs(np.corrcoef(f.T) - np.eye(OUTPUTS)).max() < 0.08, "outputs have noise of their own"


def test_a_network_is_noisy_in_every_dense_layer_and_nowhere_else():
    plain = QNetwork(jax.random.key(0), Box((8, 8, 2)), Discrete(3), (5,), dueling=True, outputs=4)
    network = noisy(plain, jax.random.key(1), 0.5)
    obs = jax.random.normal(jax.random.key(2), (8, 8, 2))
    means, one, other = quiet(network), drawn(network, jax.random.key(3)), drawn(network, jax.random.key(4))
    assert jax.tree.structure(means) == jax.tree.structure(one) == jax.tree.structure(plain)
    dense = lambda net: [net.torso.mlp.layers[0], net.advantage, net.value]
    kernels = lambda net: net.torso.encoder.convolutions[0].kernels
    for net in (means, one):
        np.testing.assert_array_equal(kernels(net)[0], kernels(plain)[0])
    for mean, drawn_one, drawn_other in zip(dense(means), dense(one), dense(other)):
        assert (drawn_one.weight != mean.weight).all()
        assert (drawn_one.weight != drawn_other.weight).all()
        assert (drawn_one.bias != mean.bias).all()
    assert means(obs).shape == (3, 4)
    assert not np.allclose(one(obs), other(obs))
    np.testing.assert_array_equal(one(obs), drawn(network, jax.random.key(3))(obs))


def test_layers_of_one_size_have_noise_of_their_own():
    network = noisy(QNetwork(jax.random.key(0), Box((5,)), Discrete(5), (5, 5)), jax.random.key(1), 0.5)
    one, means = drawn(network, jax.random.key(2)), quiet(network)
    noise = [
        now.weight - mean.weight
        for now, mean in zip([*one.torso.mlp.layers, one.advantage], [*means.torso.mlp.layers, means.advantage])
    ]
    assert not np.allclose(noise[0], noise[1])
    assert not np.allclose(noise[1], noise[2])


def test_without_deviation_there_is_no_noise():
    network = noisy(QNetwork(jax.random.key(0), Box((4,)), Discrete(3), (5,)), jax.random.key(1), 0.0)
    obs = jnp.arange(4.0)
    np.testing.assert_array_equal(drawn(network, jax.random.key(2))(obs), quiet(network)(obs))
