"""Policy objectives by hand, and the gradients they are there for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.objectives import clipped_surrogate, is_clipped, policy_gradient

OLD = -1.3  # log pi_old; the ratio is all that matters
#    ratio    A   min(r A, clip(r, 0.8, 1.2) A)   d/d log pi: r A where the ratio may still move, else 0
CASES = [
    (1.5, 1.0, 1.2, 0.0),  # better than thought, and far enough already
    (1.5, -1.0, -1.5, -1.5),  # moved the wrong way: no clip on the way back
    (0.5, 1.0, 0.5, 0.5),
    (0.5, -1.0, -0.8, 0.0),
    (1.1, 2.0, 2.2, 2.2),  # inside: no clip
    (0.9, -2.0, -1.8, -1.8),
    (1.0, 3.0, 3.0, 3.0),  # the first step of an update: the plain policy gradient
    (3.0, 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("ratio", "advantage", "objective", "slope"), CASES)
def test_clipped_surrogate(ratio, advantage, objective, slope):
    log_prob = OLD + jnp.log(ratio)
    value_and_slope = jax.value_and_grad(clipped_surrogate)(log_prob, OLD, advantage, 0.2)
    np.testing.assert_allclose(value_and_slope, (objective, slope), rtol=1e-5, atol=1e-6)


def test_the_surrogate_never_exceeds_the_unclipped_one():
    ratio, advantage = (
        jnp.exp(jax.random.normal(jax.random.key(0), (200,))),
        jax.random.normal(jax.random.key(1), (200,)),
    )
    objective = clipped_surrogate(jnp.log(ratio), jnp.zeros(200), advantage, 0.2)
    assert (objective <= ratio * advantage + 1e-5).all()
    assert (objective < ratio * advantage - 0.1).any()


def test_is_clipped_counts_ratios_that_left_the_band_on_either_side():
    ratio = jnp.array([0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 4.0])
    got = is_clipped(jnp.log(ratio) + OLD, jnp.full(7, OLD), 0.2)
    np.testing.assert_array_equal(got, [1, 1, 0, 0, 0, 1, 1])
    assert got.dtype == jnp.float32  # it is averaged


def test_policy_gradient_is_the_gradient_of_the_expected_reward():
    """sum_a pi(a) grad log pi(a) R(a) = grad sum_a pi(a) R(a): every action of a softmax counted, none sampled."""
    logits, reward = jnp.array([0.3, -1.0, 0.8, 0.0]), jnp.array([1.0, -2.0, 0.5, 4.0])
    pi = jax.nn.softmax(logits)
    estimate = jax.grad(lambda z: (pi * policy_gradient(jax.nn.log_softmax(z), reward)).sum())(logits)
    exact = jax.grad(lambda z: (jax.nn.softmax(z) * reward).sum())(logits)
    np.testing.assert_allclose(estimate, exact, rtol=1e-5)
    # A baseline changes nothing, and the clipped surrogate starts from the same gradient.
    with_baseline = jax.grad(lambda z: (pi * policy_gradient(jax.nn.log_softmax(z), reward - 7)).sum())(logits)
    surrogate = lambda z: (pi * clipped_surrogate(jax.nn.log_softmax(z), jnp.log(pi), reward, 0.2)).sum()
    np.testing.assert_allclose(with_baseline, exact, atol=1e-5)
    np.testing.assert_allclose(jax.grad(surrogate)(logits), exact, rtol=1e-5)
