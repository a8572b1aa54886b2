"""The implicit quantile network is the paper's formula, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Box, Discrete
from bellmax.networks.quantile_networks import ImplicitQuantiles

OBS, COSINES, ACTIONS = 3, 5, 2


def slow_quantiles(network, obs, tau):
    """f(psi(x) * phi(tau)), phi_j(tau) = relu(sum_i cos(pi i tau) w_ij + b_j), one tau at a time -> [actions, n]."""
    number = lambda x: np.asarray(x, np.float64)
    dense = lambda layer, x: x @ number(layer.weight) + number(layer.bias)
    psi = obs
    for layer in network.torso.mlp.layers:
        psi = np.maximum(dense(layer, psi), 0)
    columns = []
    for t in tau:
        waves = np.array([np.cos(np.pi * i * t) for i in range(COSINES)])
        x = psi * np.maximum(dense(network.embedding, waves), 0)
        for layer in network.mlp.layers:
            x = np.maximum(dense(layer, x), 0)
        columns.append(dense(network.head, x))
    return np.stack(columns, -1)


@pytest.mark.parametrize(("hidden", "psi", "f"), [((6, 4), 1, 1), ((6,), 0, 1), ((), 0, 0), ((6, 5, 4), 2, 1)])
def test_it_is_the_papers_formula(hidden, psi, f):
    network = ImplicitQuantiles(jax.random.key(0), Box((OBS,)), Discrete(ACTIONS), hidden, "relu", COSINES)
    draw = np.random.default_rng(0)
    network = jax.tree.map(lambda x: jnp.asarray(draw.normal(size=x.shape), jnp.float32), network)
    assert (len(network.torso.mlp.layers), len(network.mlp.layers)) == (psi, f)
    obs, tau = draw.normal(size=OBS), draw.random(7)
    got = network(jnp.asarray(obs, jnp.float32), jnp.asarray(tau, jnp.float32))
    assert got.shape == (ACTIONS, 7)
    np.testing.assert_allclose(got, slow_quantiles(network, obs, tau), rtol=2e-4, atol=2e-4)


def test_pixels_and_more():
    space = {"image": Box((8, 8, 3), 0, 255, "uint8"), "number": Box((2,))}
    network = ImplicitQuantiles(jax.random.key(0), space, Discrete(4), (16,))
    obs = {"image": jnp.full((8, 8, 3), 200, jnp.uint8), "number": jnp.ones(2)}
    z = network(obs, jnp.array([0.1, 0.9]))
    assert z.shape == (4, 2)
    assert not np.allclose(z[:, 0], z[:, 1]), "tau is looked at"
    assert not np.allclose(z, network(obs | {"image": obs["image"] // 2}, jnp.array([0.1, 0.9]))), "and so are pixels"


def test_only_choices_are_allowed():
    with pytest.raises(ValueError, match="needs a Discrete space"):
        ImplicitQuantiles(jax.random.key(0), Box((3,)), Box((2,), -1, 1), (4,))
