"""The conservative gap: by hand, over legal actions alone, and with a gradient where nothing is legal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.conservative import conservative_gap, soft_maximum

Q = jnp.log(jnp.array([[1.0, 2.0, 5.0], [4.0, 4.0, 4.0]]))  # sums of exp: 8 and 12


def test_by_hand():
    np.testing.assert_allclose(soft_maximum(Q), np.log([8, 12]), rtol=1e-6)
    np.testing.assert_allclose(conservative_gap(Q, jnp.array([1, 0])), np.log([8 / 2, 12 / 4]), rtol=1e-6)
    assert float(conservative_gap(jnp.array([[-30.0, 30.0]]), jnp.array([1]))[0]) == pytest.approx(0, abs=1e-6)


def test_what_is_not_legal_does_not_count():
    legal = jnp.array([[True, True, False], [False, True, False]])
    np.testing.assert_allclose(soft_maximum(Q, legal), np.log([3, 4]), rtol=1e-6)
    np.testing.assert_allclose(conservative_gap(Q, jnp.array([0, 1]), legal), np.log([3, 1]), rtol=1e-6, atol=1e-6)


def test_its_gradient_is_the_softmax_less_what_was_taken():
    """(1, 2, 5) / 8 - (0, 1, 0); where nothing is legal it is 0, and not a NaN."""
    action, legal = jnp.array([1, 0]), jnp.array([[True] * 3, [False] * 3])
    slope = jax.grad(lambda q: conservative_gap(q, action, legal).sum())(Q)
    np.testing.assert_allclose(slope, [[1 / 8, 2 / 8 - 1, 5 / 8], [0, 0, 0]], rtol=1e-6)
