"""Two-hot numbers, by hand and by their identities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.two_hot import symexp, symexp_bins, symlog, two_hot, two_hot_loss, two_hot_mean

BINS = jnp.array([-4.0, -1.0, 0.0, 1.0, 4.0])
# 0 is a bin. 0.25 is a quarter of the way from 0 to 1, 2 a third of the way from 1 to 4, -3 two thirds from -1 to -4.
# Beyond the ends all belongs to the end.
BY_HAND = [
    (0.0, [0, 0, 1, 0, 0]),
    (0.25, [0, 0, 0.75, 0.25, 0]),
    (2.0, [0, 0, 0, 2 / 3, 1 / 3]),
    (-3.0, [2 / 3, 1 / 3, 0, 0, 0]),
    (4.0, [0, 0, 0, 0, 1]),
    (9.0, [0, 0, 0, 0, 1]),
    (-9.0, [1, 0, 0, 0, 0]),
]


@pytest.mark.parametrize(("value", "expected"), BY_HAND)
def test_two_hot_by_hand(value, expected):
    np.testing.assert_allclose(two_hot(jnp.float32(value), BINS), expected, atol=1e-6)


def test_symlog_by_hand():
    """log(1 + (e - 1)) = 1, and odd; near 0 it is the number itself."""
    x = jnp.array([np.e - 1, 1 - np.e, 0.0, 1e-6])
    np.testing.assert_allclose(symlog(x), [1, -1, 0, 1e-6], rtol=1e-5)
    wide = jnp.linspace(-12, 12, 101)
    np.testing.assert_allclose(symlog(symexp(wide)), wide, rtol=1e-5, atol=1e-6)


def test_the_bins_are_symmetric_and_the_mean_of_a_two_hot_is_its_value():
    bins = symexp_bins(255)
    np.testing.assert_array_equal(bins, -bins[::-1])
    assert bins[127] == 0
    assert float(bins[-1]) == pytest.approx(np.expm1(20), rel=1e-5)
    assert (np.diff(bins) > 0).all()
    values = jnp.array([-1e6, -37.5, -0.3, 0.0, 1e-4, 1.0, 500.0, 2e7])
    logits = jnp.log(two_hot(values, bins) + 1e-30)
    np.testing.assert_allclose(two_hot_mean(logits, bins), values, rtol=1e-3, atol=1e-4)
    for count in (254, 1):
        with pytest.raises(ValueError, match=f"symexp_bins of count = {count}: it must be odd"):
            symexp_bins(count)


def test_even_probabilities_are_exactly_zero():
    """Bins of 4.9e8 cancel exactly if they are added in pairs; one after the other, float32 leaves something over."""
    bins, logits = symexp_bins(255), jnp.zeros(255)
    assert float(two_hot_mean(logits, bins)) == 0
    wide = jnp.concatenate([jnp.zeros(127), jnp.ones(1), jnp.zeros(127)])
    assert float(two_hot_mean(wide, bins)) == 0
    in_order = np.float32(0)
    for x in np.asarray(jax.nn.softmax(wide) * bins):
        in_order = np.float32(in_order + x)
    assert in_order != 0, "the control: the plain sum is not 0"


def test_the_loss_is_a_cross_entropy_whose_least_is_at_the_value():
    """Two bins of weight 3/4 and 1/4 and even logits over 5: log 5. Its slope is softmax - two-hot."""
    assert float(two_hot_loss(jnp.zeros(5), jnp.float32(0.25), BINS)) == pytest.approx(np.log(5))
    slope = jax.grad(two_hot_loss)(jnp.zeros(5), jnp.float32(0.25), BINS)
    np.testing.assert_allclose(slope, np.full(5, 0.2) - [0, 0, 0.75, 0.25, 0], atol=1e-6)
    assert float(jax.grad(two_hot_loss, 1)(jnp.zeros(5), jnp.float32(0.25), BINS)) == 0
