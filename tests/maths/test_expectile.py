"""The expectile of numbers, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.values import expectile_error, value_error


def test_by_hand():
    # too low by 2 at 0.9: 0.9 * 4; too high by 2: 0.1 * 4; at a half it is half the square
    assert expectile_error(jnp.array([2.0, -2.0, 0.0]), 0.9) == pytest.approx([3.6, 0.4, 0.0])
    assert expectile_error(jnp.array(3.0), 0.5) == value_error(jnp.array(0.0), jnp.array(3.0)) == 4.5


@pytest.mark.parametrize(("expectile", "found"), [(0.5, 0.5), (0.9, 0.9), (0.99, 0.99)])
def test_its_minimum_for_a_coin(expectile, found):
    """Targets 0 and 1: tau (1 - m) = (1 - tau) m, so m = tau. Near 1 it is the larger one."""
    grid = np.linspace(0, 1, 1001)
    losses = [float(expectile_error(jnp.array([0.0, 1.0]) - m, expectile).sum()) for m in grid[::10]]
    assert grid[::10][np.argmin(losses)] == pytest.approx(found, abs=0.011)
