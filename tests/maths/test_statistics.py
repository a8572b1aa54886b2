"""Weighted means, standardisation and explained variance: by hand, and never moved by padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.statistics import explained_variance, quantile, standardise, weighted_mean

NAN = float("nan")


def test_weighted_mean():
    # (1 * 1 + 2 * 0.5 + 3 * 0.5) / (1 + 0.5 + 0.5) = 3.5 / 2
    assert weighted_mean(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 0.5, 0.5])) == 1.75
    # 1 / 4 of each row's 2: over all axes
    assert weighted_mean(jnp.array([[1.0, 5.0], [9.0, 9.0]]), jnp.array([[1.0, 1.0], [0.0, 0.0]])) == 3.0


@pytest.mark.parametrize("padding", [1e9, NAN, float("inf")])
def test_padding_moves_neither_the_mean_nor_its_gradient(padding):
    x, weight = jnp.array([1.0, padding, 3.0, padding]), jnp.array([1.0, 0.0, 1.0, 0.0])
    value, slope = jax.value_and_grad(weighted_mean)(x, weight)
    assert value == 2.0
    np.testing.assert_array_equal(slope, [0.5, 0, 0.5, 0])
    assert value != jnp.mean(x)  # control: the plain mean is moved


def test_where_nothing_has_weight_the_mean_is_zero():
    value, slope = jax.value_and_grad(weighted_mean)(jnp.array([3.0, NAN]), jnp.zeros(2))
    assert value == 0
    np.testing.assert_array_equal(slope, [0, 0])


def test_a_weight_of_another_shape_is_refused():
    with pytest.raises(AssertionError, match=r"\(3,\).*\(3, 1\)"):  # it would broadcast to nine numbers
        weighted_mean(jnp.ones(3), jnp.ones((3, 1)))


def test_standardise():
    # mean 4, deviations -3, -1, 1, 3, variance (9 + 1 + 1 + 9) / 4 = 5: dividing by 4, not 3
    x = np.array([1.0, 3.0, 5.0, 7.0])
    np.testing.assert_allclose(standardise(jnp.asarray(x), jnp.ones(4)), (x - 4) / np.sqrt(5), rtol=1e-6)
    # weights 3 and 1: mean (3 * 0 + 4) / 4 = 1, variance (3 * 1 + 9) / 4 = 3
    got = standardise(jnp.array([0.0, 4.0]), jnp.array([3.0, 1.0]))
    np.testing.assert_allclose(got, [-1 / np.sqrt(3), np.sqrt(3)], rtol=1e-6)


@pytest.mark.parametrize("padding", [1e4, NAN])
def test_standardise_does_not_look_at_padding(padding):
    x, weight = jnp.array([1.0, padding, 3.0, 5.0, 7.0]), jnp.array([1.0, 0.0, 1.0, 1.0, 1.0])
    got = np.asarray(standardise(x, weight))[[0, 2, 3, 4]]
    np.testing.assert_allclose(got, standardise(jnp.array([1.0, 3.0, 5.0, 7.0]), jnp.ones(4)), rtol=1e-6)


def test_standardising_a_constant_gives_zeros():
    np.testing.assert_array_equal(standardise(jnp.full(8, 3.0), jnp.ones(8)), np.zeros(8))


def test_explained_variance():
    target, ones = jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.ones(4)
    assert explained_variance(target, target, ones) == 1
    assert explained_variance(target + 7, target, ones) == 1  # a constant off: by definition not counted
    assert explained_variance(jnp.full(4, 2.5), target, ones) == 0
    # target - prediction = 2 target: four times the variance, 1 - 4
    np.testing.assert_allclose(explained_variance(-target, target, ones), -3, rtol=1e-6)
    # half of it: residual 0.5 target, a quarter of the variance
    np.testing.assert_allclose(explained_variance(0.5 * target, target, ones), 0.75, rtol=1e-6)


def test_explained_variance_of_a_constant_target_is_zero_and_not_a_division():
    assert explained_variance(jnp.array([1.0, 2.0]), jnp.array([5.0, 5.0]), jnp.ones(2)) == 0


def test_explained_variance_does_not_look_at_padding():
    prediction, target = jnp.array([0.5, 1.0, 99.0, 1.5, NAN]), jnp.array([1.0, 2.0, -99.0, 3.0, NAN])
    weight = jnp.array([1.0, 1.0, 0.0, 1.0, 0.0])
    np.testing.assert_allclose(explained_variance(prediction, target, weight), 0.75, rtol=1e-6)


def test_quantile():
    """Of 0 10 20 30 40 the median is 20; 5 % lie 0.2 of the way from 0 to 10, at 2. Padding is not looked at."""
    x = jnp.array([[40.0, 10.0, NAN], [0.0, 30.0, 20.0]])
    weight = jnp.array([[1.0, 0.5, 0.0], [2.0, 1.0, 1.0]])
    assert [float(quantile(x, weight, share)) for share in (0.0, 0.05, 0.5, 1.0)] == pytest.approx([0, 2, 20, 40])
    assert float(quantile(x[0], jnp.array([0.0, 1.0, 0.0]), 0.95)) == 10
    assert float(quantile(x, jnp.zeros((2, 3)), 0.5)) == 0
