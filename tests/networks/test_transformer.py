"""The causal transformer: who sees whom, and what is dropped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.networks.transformer import Transformer, dropped

NETWORK = Transformer(jax.random.key(0), 8, 2, 2, "gelu")
X, REAL = jax.random.normal(jax.random.key(1), (2, 5, 8)), jnp.ones((2, 5), bool)
RUN = jax.jit(lambda *it: NETWORK(*it))


def moved(token, real=REAL):
    """Which tokens' features change when one is changed, [time], in the first of the batch."""
    other = X.at[0, token].multiply(-1.0)  # adding the same to all numbers would be seen by nobody
    change = np.abs(RUN(other, real) - RUN(X, real))
    assert change[1].max() == 0, "the rest of the batch is not looked at"
    return (change[0].max(-1) > 1e-5).tolist()


def test_a_token_sees_itself_and_those_before_it():
    assert moved(2) == [False, False, True, True, True]


def test_nobody_sees_padding():
    assert moved(1, REAL.at[0, 1].set(False)) == [False, True, False, False, False]


def test_what_is_left_makes_up_for_what_is_dropped():
    """Of ones, a quarter becomes 0 and the others 4 / 3; standard error of the mean over 40,000: 0.003."""
    found = dropped(jnp.ones((200, 200)), jax.random.key(0), 0.25)
    np.testing.assert_allclose(np.unique(found), [0, 4 / 3], rtol=1e-6)
    assert abs(float(found.mean()) - 1) < 0.012
    assert np.array_equal(dropped(X, None, 0.5), X)
    assert not np.array_equal(NETWORK(X, REAL, jax.random.key(2), 0.5), RUN(X, REAL))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="heads = 3: the width, 8, must be a multiple"):
        Transformer(jax.random.key(0), 8, 3, 1)
