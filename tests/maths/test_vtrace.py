"""V-trace by hand. Two steps, gamma 0.5, R = (1, 2), V = (10, 20), V' = (20, 30), pi / mu = (2, 0.5).

The one-step errors before weighting: 1 + 0.5 * 20 - 10 = 1 and 2 + 0.5 * 30 - 20 = -3.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.returns import vtrace

RATIO, REWARD = jnp.array([2.0, 0.5]), jnp.array([1.0, 2.0])
VALUE, NEXT_VALUE = jnp.array([10.0, 20.0]), jnp.array([20.0, 30.0])
GOES_ON, NO_END = jnp.array([0.5, 0.5]), jnp.array([False, False])


@pytest.mark.parametrize(
    ("settings", "vs", "advantage"),
    [
        # rho = (1, 0.5), c = (1, 0.5): vs1 = 20 + 0.5 * -3 = 18.5, vs0 = 10 + 1 + 0.5 * 1 * (18.5 - 20) = 10.25
        # advantage1 = 0.5 * -3, advantage0 = 1 + 0.5 * 18.5 - 10 = 0.25
        ({}, [10.25, 18.5], [0.25, -1.5]),
        # c halved: vs0 = 11 + 0.5 * 0.5 * -1.5 = 10.625; the advantage reads vs1, which is the same
        ({"lambda_": 0.5}, [10.625, 18.5], [0.25, -1.5]),
        # rho = (2, 0.5), c = (1.5, 0.5): vs0 = 10 + 2 * 1 + 0.5 * 1.5 * -1.5 = 10.875; advantage0 = 2 * 0.25
        ({"clip_rho": 3.0, "clip_c": 1.5}, [10.875, 18.5], [0.5, -1.5]),
        # rho = (0.25, 0.25): vs1 = 20 + 0.25 * -3 = 19.25, vs0 = 10 + 0.25 + 0.5 * -0.75 = 9.875,
        # advantage1 = -0.75, advantage0 = 0.25 (1 + 0.5 * 19.25 - 10) = 0.15625
        ({"clip_rho": 0.25}, [9.875, 19.25], [0.15625, -0.75]),
    ],
)
def test_vtrace(settings, vs, advantage):
    got = vtrace(RATIO, REWARD, GOES_ON, VALUE, NEXT_VALUE, NO_END, **settings)
    np.testing.assert_allclose(got, [vs, advantage], rtol=1e-6)


def test_an_episode_that_ends_on_the_first_step():
    # Terminated: vs0 = 10 + (1 - 10) = 1 and so is the target of the advantage, 1 - 10 = -9.
    vs, advantage = vtrace(RATIO, REWARD, jnp.array([0.0, 0.5]), VALUE, NEXT_VALUE, jnp.array([True, False]))
    np.testing.assert_allclose([vs[0], advantage[0]], [1, -9])
    # Cut short: the true successor is worth 20, though the next row's corrected value is 18.5: 1 + 10 - 10 = 1.
    vs, advantage = vtrace(RATIO, REWARD, GOES_ON, VALUE, NEXT_VALUE, jnp.array([True, False]))
    np.testing.assert_allclose([vs[0], advantage[0]], [11, 1])


def test_neither_target_nor_advantage_passes_a_gradient():
    def total(ratio, value, next_value):
        vs, advantage = vtrace(ratio, REWARD, GOES_ON, value, next_value, NO_END)
        return (vs + advantage + value).sum()  # + value: a gradient there is, of 1

    by_ratio, by_value, by_next_value = jax.grad(total, argnums=(0, 1, 2))(RATIO, VALUE, NEXT_VALUE)
    np.testing.assert_array_equal([by_ratio, by_value, by_next_value], [[0, 0], [1, 1], [0, 0]])
