"""What a token counts for, by hand: answers of 1, 3 and 0 tokens, of which at most 4 could have been written."""

import jax.numpy as jnp
import numpy as np

from bellmax.maths.reductions import evenly, shares

WEIGHT = jnp.array([[0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])


def test_every_answer_alike():
    expected = [[0, 1 / 3, 0, 0], [0, 1 / 9, 1 / 9, 1 / 9], [0, 0, 0, 0]]
    np.testing.assert_allclose(shares(WEIGHT, "grpo", 4), expected, rtol=1e-6)


def test_every_token_alike():
    expected = [[0, 1 / 4, 0, 0], [0, 1 / 4, 1 / 4, 1 / 4], [0, 0, 0, 0]]
    np.testing.assert_allclose(shares(WEIGHT, "dapo", 4), expected, rtol=1e-6)
    np.testing.assert_allclose(evenly(WEIGHT), expected, rtol=1e-6)


def test_no_length_divides():
    expected = [[0, 1 / 12, 0, 0], [0, 1 / 12, 1 / 12, 1 / 12], [0, 0, 0, 0]]
    np.testing.assert_allclose(shares(WEIGHT, "dr-grpo", 4), expected, rtol=1e-6)


def test_padding_changes_no_share():
    padded = jnp.pad(WEIGHT, ((0, 0), (2, 3)))
    for reduction in ("grpo", "dapo", "dr-grpo"):
        np.testing.assert_allclose(shares(padded, reduction, 4)[:, 2:6], shares(WEIGHT, reduction, 4), rtol=1e-6)


def test_of_nothing_there_is_nothing():
    assert (evenly(jnp.zeros((2, 3))) == 0).all()
