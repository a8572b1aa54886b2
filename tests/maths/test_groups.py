"""What an answer is worth against its group, by hand."""

import jax.numpy as jnp
import numpy as np

from bellmax.maths.groups import against_mean, against_others, same_in_group, standardised_in_group

REWARD = jnp.array([1.0, 0.0, 5.0, 2.0, 2.0, 2.0])  # two groups of three: means 2 and 2


def test_against_the_mean():
    np.testing.assert_allclose(against_mean(REWARD, 3), [-1, -2, 3, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(against_mean(REWARD, 2), [0.5, -0.5, 1.5, -1.5, 0, 0], atol=1e-6)


def test_standardised():
    # squares 1 + 4 + 9 = 14 over size - 1 = 2: deviation sqrt 7; the other group has none, and gives 0 rather than NaN
    expected = np.array([-1, -2, 3, 0, 0, 0]) / (7**0.5 + 1e-4)
    np.testing.assert_allclose(standardised_in_group(REWARD, 3), expected, atol=1e-6)
    assert (standardised_in_group(REWARD, 1) == 0).all()


def test_against_the_others():
    # 1 against (0 + 5) / 2, 0 against (1 + 5) / 2, 5 against (1 + 0) / 2
    np.testing.assert_allclose(against_others(REWARD, 3), [-1.5, -3.0, 4.5, 0, 0, 0], atol=1e-6)


def test_groups_that_teach_nothing():
    assert same_in_group(REWARD, 3).tolist() == [0.0, 1.0]
    assert same_in_group(REWARD, 2).tolist() == [0.0, 0.0, 1.0]
