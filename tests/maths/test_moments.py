"""Running moments equal NumPy's mean and variance of everything, however it was cut up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.statistics import Moments, no_moments, update_moments

SIZE = 60
take = jax.jit(update_moments)


def in_pieces(x, weight, ends):
    """Feed x[0:ends[0]], x[ends[0]:ends[1]], ... each padded with NaN of weight 0 to the length of the whole."""
    moments, begin = no_moments(x.shape[1:]), 0
    for end in [*ends, len(x)]:
        padded, weights = np.full(x.shape, np.nan, np.float32), np.zeros(len(x), np.float32)
        padded[: end - begin], weights[: end - begin] = x[begin:end], weight[begin:end]
        moments, begin = take(moments, padded, weights), end
    return moments


@pytest.mark.parametrize("ends", [[], [1], [30], [1, 2, 3], [0, 7, 7, 59], list(range(1, SIZE))])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_any_cut_gives_the_same(ends, offset):
    x = (offset + np.random.default_rng(0).normal(size=(SIZE, 3)) * [1.0, 2.0, 0.5]).astype(np.float32)
    moments = in_pieces(x, np.ones(SIZE), ends)
    assert moments.count == SIZE
    exact = x.astype(np.float64)
    np.testing.assert_allclose(moments.mean, exact.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(moments.variance, exact.var(0), rtol=2e-3 if offset else 1e-5)


def test_the_mean_of_squares_would_cancel():
    """Control: E[x^2] - E[x]^2 in float32 at an offset of 1e4 does not hold the bound the test above holds."""
    x = (1e4 + np.random.default_rng(0).normal(size=(SIZE, 3)) * [1.0, 2.0, 0.5]).astype(np.float32)
    naive = (x**2).mean(0) - x.mean(0) ** 2
    assert (np.abs(naive - x.astype(np.float64).var(0)) > 0.1 * x.astype(np.float64).var(0)).all()


def test_by_hand():
    # 1 and 3: mean 2, variance 1. Then 8: mean 4, variance ((1 - 4)^2 + (3 - 4)^2 + (8 - 4)^2) / 3 = 26 / 3
    moments = update_moments(no_moments(), jnp.array([1.0, 3.0]), jnp.ones(2))
    assert tuple(moments) == (2, 2, 1)
    moments = update_moments(moments, jnp.array([8.0]), jnp.ones(1))
    np.testing.assert_allclose(tuple(moments), (3, 4, 26 / 3), rtol=1e-6)


def test_elements_without_weight_are_not_looked_at_and_others_count_as_one():
    x, weight = jnp.array([1.0, jnp.nan, 3.0, jnp.inf]), jnp.array([0.3, 0.0, 2.5, 0.0])
    assert tuple(update_moments(no_moments(), x, weight)) == (2, 2, 1)


def test_before_anything_was_seen_and_where_nothing_was():
    nothing = no_moments((2,))
    np.testing.assert_array_equal(nothing.mean, [0, 0])
    np.testing.assert_array_equal(nothing.variance, [1, 1])  # dividing by it is harmless
    still = update_moments(nothing, jnp.full((4, 2), jnp.nan), jnp.zeros(4))
    for before, after in zip(nothing, still):
        np.testing.assert_array_equal(before, after)
    some = Moments(jnp.array(5.0), jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]))
    for before, after in zip(some, update_moments(some, jnp.full((4, 2), jnp.nan), jnp.zeros(4))):
        np.testing.assert_allclose(before, after)


def test_all_axes_of_the_weight_are_averaged_over():
    x = np.random.default_rng(1).normal(size=(4, 5, 2, 3)).astype(np.float32)  # [time, env] of [2, 3]
    moments = update_moments(no_moments((2, 3)), x, jnp.ones((4, 5)))
    assert moments.count == 20
    np.testing.assert_allclose(moments.mean, x.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(moments.variance, x.var((0, 1)), rtol=1e-5)


def test_pixels_do_not_overflow():
    x = np.arange(600, dtype=np.uint8)  # the sum of six hundred bytes, and their number, fit in no byte
    moments = update_moments(no_moments(), x, jnp.ones(600))
    np.testing.assert_allclose(tuple(moments), (600, x.mean(), x.var()), rtol=1e-5)


def test_the_variance_does_not_run_off_when_the_count_has_stopped():
    """2^24 + 1 = 2^24 in float32: after 17 million single elements the count stands still, for ever.

    A sum of squares would go on growing where its divisor does not: by a quarter in these four million elements.
    """
    full = Moments(jnp.float32(2**24), jnp.float32(0), jnp.float32(1))
    many = 2**22

    @jax.jit
    def feed(moments, key):
        x = jax.random.normal(key, (many,))
        return jax.lax.scan(lambda m, x: (update_moments(m, x[None], jnp.ones(1)), None), moments, x)[0]

    moments = feed(full, jax.random.key(0))
    assert moments.count == 2**24
    np.testing.assert_allclose(moments.variance, 1, atol=0.02)
    np.testing.assert_allclose(moments.mean, 0, atol=0.02)
