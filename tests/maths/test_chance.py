"""Cheap random numbers: even, independent between keys and positions, and choices with the right probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.chance import choose, invert, stir, uniform

MANY = 50_000


def keys(seed=0, count=MANY):
    return jax.random.split(jax.random.key(seed), count)


def chi_square(counts, expected):
    return float(((counts - expected) ** 2 / expected).sum())


def test_numbers_lie_in_the_unit_interval_and_are_even():
    numbers = np.asarray(jax.jit(jax.vmap(uniform))(keys()))
    assert numbers.dtype == np.float32
    assert 0 <= numbers.min() < 0.001
    assert 0.999 < numbers.max() < 1
    counts = np.bincount((numbers * 100).astype(int), minlength=100)
    assert chi_square(counts, MANY / 100) < 149  # the 0.999 quantile of chi square with 99 degrees of freedom


@pytest.mark.parametrize("counter", [lambda n: jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(3), n), None])
def test_neighbours_are_independent(counter):
    """Pairs of numbers of one key, and of keys one after the other, even where keys are made by counting."""
    made = (
        counter(jnp.arange(MANY))
        if counter
        else jax.random.wrap_key_data(jnp.stack([jnp.zeros(MANY, jnp.uint32), jnp.arange(MANY, dtype=jnp.uint32)], 1))
    )
    pairs = np.asarray(jax.jit(jax.vmap(lambda key: uniform(key, (2,))))(made))
    for x, y in ((pairs[:, 0], pairs[:, 1]), (pairs[:-1, 0], pairs[1:, 0])):
        counts = np.histogram2d(x, y, bins=10, range=[[0, 1], [0, 1]])[0]
        assert chi_square(counts, len(x) / 100) < 149


def test_a_shape_is_filled_with_different_numbers():
    numbers = np.asarray(uniform(jax.random.key(1), (3, 50)))
    assert numbers.shape == (3, 50)
    assert len(np.unique(numbers)) == 150
    np.testing.assert_array_equal(numbers, uniform(jax.random.key(1), (3, 50)))
    assert np.abs(numbers - np.asarray(uniform(jax.random.key(2), (3, 50)))).min() > 0


def test_stirring_loses_nothing():
    """The finaliser of MurmurHash3: fmix32(0) = 0, fmix32(1) = 0x514E28B7; no two of many inputs collide."""
    assert int(stir(jnp.uint32(0))) == 0
    assert int(stir(jnp.uint32(1))) == 0x514E28B7
    assert len(np.unique(np.asarray(stir(jnp.arange(100_000, dtype=jnp.uint32))))) == 100_000


@pytest.mark.parametrize("probabilities", [[0.25] * 4, [0.0, 0.7, 0.0, 0.3], [0.05, 0.05, 0.8, 0.1], [1.0], [0.0, 1.0]])
def test_choices_have_their_probabilities(probabilities):
    drawn = jax.jit(jax.vmap(choose, (None, 0)))(jnp.array(probabilities), keys(1))
    counts, expected = np.bincount(drawn, minlength=len(probabilities)), MANY * np.array(probabilities)
    assert drawn.dtype == jnp.int32
    assert (counts[expected == 0] == 0).all()
    assert chi_square(counts[expected > 0], expected[expected > 0]) < 16.3  # the 0.999 quantile for 3 degrees


def test_the_index_at_which_the_running_sum_passes():
    p = jnp.array([0.0, 0.25, 0.0, 0.75, 0.0])
    numbers = {0.0: 1, 0.2499: 1, 0.25: 3, 0.9999: 3}
    assert [int(invert(p, jnp.float32(x))) for x in numbers] == list(numbers.values())
    short = jnp.array([0.5, 0.499, 0.0])  # rounding may leave the sum below 1: the last with any probability is taken
    assert int(invert(short, jnp.float32(0.9999999))) == 1
