"""Policies that never become certain: the floors, the bounds, and what reaches the environment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Box, Discrete, MultiDiscrete
from bellmax.networks.floored_policy import FlooredPolicy


def extreme(space, size):
    """A policy whose outputs are as far out as they get: weights of `size`."""
    policy = FlooredPolicy(jax.random.key(0), 3, space, (4,))
    return jax.tree.map(lambda x: jnp.full_like(x, size), policy)


def test_no_choice_is_ever_impossible():
    policy = FlooredPolicy(jax.random.key(0), 3, Discrete(4), (4,))
    policy = jax.tree.map(lambda x: 1e4 * x, policy)
    least = jax.nn.softmax(policy(jnp.ones(3), 0.1).logits).min()
    assert float(least) == pytest.approx(0.1 / 4)
    parts = FlooredPolicy(jax.random.key(0), 3, MultiDiscrete((2, 3)), (4,))(jnp.ones(3), 1.0).parts
    assert [len(part.logits) for part in parts] == [2, 3]
    np.testing.assert_allclose(parts[1].logits, np.log(1 / 3), rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "mean", "std"), [(-50.0, -1.0, 0.1), (50.0, 1.0, 1.0), (0.0, 0.0, 0.1 + 0.9 * 0.8808)]
)
def test_a_normal_stays_between_its_bounds(size, mean, std):
    """sigmoid(2) = .8808."""
    policy = extreme(Box((2,), -3.0, 5.0), size)(jnp.ones(3))
    np.testing.assert_allclose(policy.mean, mean, atol=1e-6)
    np.testing.assert_allclose(jnp.exp(policy.log_std), std, rtol=1e-3)


def test_actions_reach_the_bounds_of_the_box_and_not_beyond():
    """-1 .. 1 is -3 .. 5: 0 is 1, and what was drawn outside is cut."""
    policy = extreme(Box((4,), -3.0, 5.0), 0.0)
    np.testing.assert_allclose(policy.to_action(jnp.array([-7.0, -1.0, 0.0, 1.5])), [-3, -3, 1, 5])
