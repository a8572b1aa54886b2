"""Normal and squashed policies against numerical integration, which knows nothing of their formulas."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.distributions import Normal, TanhNormal

LOW, HIGH = jnp.array([-2.0, 0.0]), jnp.array([2.0, 10.0])


def area(density, points):
    return np.sum((density[1:] + density[:-1]) / 2 * np.diff(points))


def probability_between(low, high, mean, std):
    """Of the normal, from its distribution function, in float64 and in the tail that does not cancel."""
    low, high = (low - mean) / std / math.sqrt(2), (high - mean) / std / math.sqrt(2)
    return 0.5 * (math.erfc(low) - math.erfc(high)) if low > 0 else 0.5 * (math.erfc(-high) - math.erfc(-low))


def test_normal_by_hand():
    # N(0, 1) at 0: -log(2 pi) / 2 = -0.9189385; N(1, e) at 1 + 2e: 2 standard deviations, -2 - 0.9189385 - 1
    np.testing.assert_allclose(Normal(jnp.zeros(1), jnp.zeros(1)).log_prob(jnp.zeros(1)), -0.9189385, rtol=1e-6)
    policy = Normal(jnp.array([0.0, 1.0]), jnp.array([0.0, 1.0]))
    got = policy.log_prob(jnp.array([0.0, 1 + 2 * math.e]))
    np.testing.assert_allclose(got, -0.9189385 - 3.9189385, rtol=1e-6)
    # entropies: (1 + log 2 pi) / 2 = 1.4189385, and 1 more for the standard deviation e
    np.testing.assert_allclose(policy.entropy(), 1.4189385 + 2.4189385, rtol=1e-6)
    np.testing.assert_array_equal(policy.mode(), [0, 1])


def test_normal_by_integration():
    points = np.linspace(-12, 12, 4001)
    log_p = np.asarray(Normal(jnp.array([0.7]), jnp.array([0.3])).log_prob(jnp.asarray(points)[:, None]), np.float64)
    np.testing.assert_allclose(area(np.exp(log_p), points), 1, rtol=1e-5)
    entropy = area(-np.exp(log_p) * log_p, points)
    np.testing.assert_allclose(Normal(jnp.array([0.7]), jnp.array([0.3])).entropy(), entropy, rtol=1e-5)


def test_one_standard_deviation_serves_a_batch_of_means():
    mean = jnp.arange(6.0).reshape(3, 2)
    policy = Normal(mean, jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(policy.entropy(), np.full(3, 3.8378770), rtol=1e-6)  # as by hand above, in each row
    np.testing.assert_allclose(policy.log_prob(mean), np.full(3, -2 * 0.9189385 - 1), rtol=1e-6)
    assert policy.sample(jax.random.key(0)).shape == (3, 2)


def test_samples_of_a_normal_have_its_mean_and_deviation():
    policy = Normal(jnp.array([1.0, -3.0]), jnp.log(jnp.array([0.5, 2.0])))
    draws = np.asarray(jax.jit(jax.vmap(policy.sample))(jax.random.split(jax.random.key(0), 20_000)))
    z = (draws - [1, -3]) / [0.5, 2]
    assert (np.abs(z.mean(0)) < 4 / np.sqrt(20_000)).all()  # four standard errors
    assert (np.abs(z.std(0) - 1) < 4 / np.sqrt(40_000)).all()
    assert abs((z[:, 0] * z[:, 1]).mean()) < 4 / np.sqrt(20_000)  # independent
    assert abs((np.abs(z) < 1).mean() - 0.6827) < 0.01  # and bell-shaped


def test_a_mask_on_a_continuous_action_is_refused():
    with pytest.raises(ValueError, match="no meaning for continuous actions"):
        Normal(jnp.zeros(2), jnp.zeros(2)).masked(jnp.ones(2, bool))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 10.0)])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.6, 0.4)])
def test_the_density_of_a_squashed_normal_integrates_to_one(low, high, mean, std):
    policy = TanhNormal(jnp.array([mean]), jnp.log(jnp.array([std])), low, high)
    before = np.linspace(-9, 9, 8001)
    actions = low + (high - low) * (np.tanh(before) + 1) / 2
    density = np.exp(np.asarray(policy.log_prob_before(jnp.asarray(before)[:, None]), np.float64))
    np.testing.assert_allclose(area(density, actions), 1, rtol=1e-3)


@pytest.mark.parametrize("u", [-20.0, -10.0, -3.0, -0.5, 0.0, 1.0, 5.0, 15.0, 20.0])
def test_the_density_of_a_squashed_normal_is_probability_by_length_of_action(u):
    mean, std, step = 0.5, 8.0, 1e-3
    between = probability_between(u - step, u + step, mean, std)
    # tanh b - tanh a = sinh(b - a) / (cosh a cosh b), which does not cancel; stretched to 0 .. 10
    length = 5 * math.sinh(2 * step) / (math.cosh(u - step) * math.cosh(u + step))
    policy = TanhNormal(jnp.array([mean]), jnp.log(jnp.array([std])), 0.0, 10.0)
    got = policy.log_prob_before(jnp.array([u]))
    np.testing.assert_allclose(got, math.log(between / length), atol=1e-4)


def test_far_out_the_log_prob_and_its_gradients_are_finite():
    def log_prob(before, mean, log_std):
        return TanhNormal(mean, log_std, LOW, HIGH).log_prob_before(before)

    out = jax.jit(jax.vmap(jax.value_and_grad(log_prob, argnums=(0, 1, 2)), (0, None, None)))
    far = jnp.array([[u, -u] for u in (-200.0, -20.0, 0.0, 20.0, 200.0)])
    for result in jax.tree.leaves(out(far, jnp.zeros(2), jnp.zeros(2))):
        assert np.isfinite(result).all()
    # Control: the correction by the letter has lost all digits at 20.
    assert jnp.log(1 - jnp.tanh(jnp.float32(20.0)) ** 2) == -jnp.inf
    # its derivative by u is -2 tanh u, so that of the log-density at mean 0 is -u + 2 tanh u
    np.testing.assert_allclose(
        jax.grad(log_prob)(jnp.array([0.5, -20.0]), 0.0, jnp.zeros(2)), [-0.5 + 2 * math.tanh(0.5), 18], rtol=1e-5
    )


def test_each_dimension_has_its_own_bounds():
    # At u = 0 the slope of tanh is 1 and the scales are (2 + 2) / 2 and (10 - 0) / 2: -2 * 0.9189385 - log 2 - log 5
    policy = TanhNormal(jnp.zeros(2), jnp.zeros(2), LOW, HIGH)
    np.testing.assert_allclose(policy.log_prob_before(jnp.zeros(2)), -1.837877 - math.log(10), rtol=1e-6)
    np.testing.assert_array_equal(policy.mode(), [0, 5])
    np.testing.assert_array_equal(policy.squash(jnp.array([-50.0, 50.0])), [-2, 10])
    np.testing.assert_array_equal(policy.squash(jnp.array([50.0, -50.0])), [2, 0])


def test_samples_stay_within_and_come_with_their_log_prob():
    policy = TanhNormal(jnp.array([0.3, -0.2]), jnp.array([0.0, -0.5]), LOW, HIGH)
    keys = jax.random.split(jax.random.key(0), 4000)
    actions, log_prob = jax.jit(jax.vmap(policy.sample_with_log_prob))(keys)
    np.testing.assert_array_equal(jax.jit(jax.vmap(policy.sample))(keys[:5]), actions[:5])
    actions = np.asarray(actions, np.float64)
    assert ((actions >= LOW) & (actions <= HIGH)).all()
    before = np.arctanh((actions - LOW) / (HIGH - LOW) * 2 - 1)
    np.testing.assert_allclose(log_prob, jax.jit(jax.vmap(policy.log_prob_before))(before), atol=0.02)
    # Half of the probability lies below the median, tanh of the mean, in both dimensions: 4 standard errors are 0.032
    below = (actions < np.asarray(policy.mode())).mean(0)
    assert (np.abs(below - 0.5) < 0.032).all()
    # E[1 / p(a)] over a box well inside is the box's size: [-1, 1] x [3, 6] = 6, if p is the density of these samples
    inside = (np.abs(actions[:, 0]) < 1) & (np.abs(actions[:, 1] - 4.5) < 1.5)
    np.testing.assert_allclose((inside / np.exp(np.asarray(log_prob))).mean(), 6, rtol=0.1)
