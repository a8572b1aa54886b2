"""Cells, first visits and averages over them, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.visits import approach, first_visits, numbers
from bellmax.spaces import Masked


def test_states_are_counted_row_by_row():
    obs = {"a": np.array([[0, 1]]), "b": np.array([[[2, 1], [0, 0]]])}  # one time, two environments; sizes 2, 3, 2
    np.testing.assert_array_equal(numbers(obs, (2, 3, 2)), [[0 * 6 + 2 * 2 + 1, 1 * 6 + 0 * 2 + 0]])
    np.testing.assert_array_equal(numbers(Masked(obs, np.ones((1, 2, 4), bool)), (2, 3, 2)), [[5, 6]])
    table = np.arange(12).reshape(2, 3, 2)
    assert table.reshape(-1)[5] == table[0, 2, 1]


def test_first_visits_by_hand():
    cell = np.array([[3, 1], [3, 2], [0, 1], [3, 1], [0, 0]])
    weight = np.array([[1, 0], [1, 1], [1, 1], [1, 1], [0, 0.0]])
    # env 0: 3 first, again, 0 first, again, padding; env 1: padding, 2 first, 1 first (the padding was none), again
    np.testing.assert_array_equal(first_visits(cell, weight), [[1, 0], [0, 1], [1, 1], [0, 0], [0, 0]])


@pytest.mark.parametrize("seed", range(3))
def test_first_visits_against_a_loop(seed):
    draw = np.random.default_rng(seed)
    cell, weight = draw.integers(0, 6, (20, 5)), (draw.random((20, 5)) < 0.7).astype(np.float32)
    expected = np.zeros_like(weight)
    for n in range(5):
        seen = set()
        for t in range(20):
            if weight[t, n]:
                expected[t, n] = cell[t, n] not in seen
                seen.add(cell[t, n])
    np.testing.assert_array_equal(jax.jit(first_visits)(cell, weight), expected)


def test_approaching_with_the_whole_step_makes_weighted_means():
    # cell 0: targets 4 (weight 1) and 1 (weight 3) -> 7 / 4; cell 1: 5 and 7 at one time, then 0, weights 1 -> 4;
    # cell 2: nothing; cell 3 had the mean 2 of weight 2, and gets 8 with weight 1 -> 12 / 3
    value, total = jnp.array([9.0, 9, 9, 2]), jnp.array([0.0, 0, 0, 2])
    cell = np.array([[0, 2], [1, 1], [1, 0], [3, 2]])
    target = np.array([[4.0, 100], [5, 7], [0, 1], [8, np.nan]], np.float32)
    weight = np.array([[1.0, 0], [1, 1], [1, 3], [1, 0]], np.float32)
    value, total = approach(value, total, cell, target, weight)
    np.testing.assert_allclose(value, [7 / 4, 4, 9, 4], rtol=1e-6)
    np.testing.assert_allclose(total, [4, 3, 0, 3])


def test_a_constant_step_forgets_and_so_minds_the_order():
    # 0 -> 0 + .5 (4 - 0) = 2 -> 2 + .5 (8 - 2) = 5; the other way round 0 -> 4 -> 4
    value, total, cell, weight = jnp.zeros(1), jnp.zeros(1), np.zeros((2, 1), int), np.ones((2, 1), np.float32)
    forwards, backwards = (
        approach(value, total, cell, np.float32(x), weight, 0.5, 0.0)[0] for x in ([[4], [8]], [[8], [4]])
    )
    assert (forwards[0], backwards[0]) == (5, 4)


def test_between_the_two():
    # step sizes 0.5 / 1 and 0.5 / 2^0.5
    value, _ = approach(
        jnp.zeros(1), jnp.zeros(1), np.zeros((2, 1), int), np.float32([[4], [8]]), np.ones((2, 1)), 0.5, 0.5
    )
    np.testing.assert_allclose(value, 2 + 0.5 / 2**0.5 * (8 - 2), rtol=1e-6)
