"""What many models say together, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.ensembles import disagreement, least, mixture_log_prob, running_loss, softly_bounded


def test_soft_bounds_by_hand():
    """In the middle of far bounds nothing happens; at a bound, log 2 is cut off; beyond it, all of the rest."""
    assert softly_bounded(jnp.float32(0), -50.0, 50.0) == pytest.approx(0, abs=1e-5)
    # high - softplus(0) = high - log 2, and the other bound is too far away to matter
    assert softly_bounded(jnp.float32(1), -50.0, 1.0) == pytest.approx(1 - np.log(2), abs=1e-5)
    # low + softplus(low - low) = low + log 2
    assert softly_bounded(jnp.float32(-3), -3.0, 50.0) == pytest.approx(-3 + np.log(2), abs=1e-5)
    far = softly_bounded(jnp.float32([-1e4, 1e4]), -3.0, 50.0)
    assert far == pytest.approx([-3, 50], abs=1e-4)
    slopes = [jax.grad(softly_bounded, i)(jnp.float32(1), jnp.float32(-50), jnp.float32(1)) for i in range(3)]
    assert slopes == pytest.approx([0.5, 0, 0.5], abs=1e-5)  # the sigmoid of 0, and what is left for the bound


def test_a_mixture_is_the_mean_of_densities():
    log_prob = jnp.log(jnp.array([[0.2, 1.0], [0.6, 3.0]]))
    np.testing.assert_allclose(jnp.exp(mixture_log_prob(log_prob)), [0.4, 2.0], rtol=1e-6)
    far = mixture_log_prob(jnp.array([[-1e4], [-2e4]]))  # exp of either is 0
    assert far == pytest.approx(-1e4 - np.log(2))


def test_disagreement_by_hand():
    # Two models, two outputs: variances ((1)^2 + (1)^2) / 2 = 1 and 3^2 = 9, mean 5; where they agree it is 0
    mean = jnp.array([[[0.0, 0.0], [1.0, 1.0]], [[2.0, 6.0], [1.0, 1.0]]])
    assert disagreement(mean) == pytest.approx([5**0.5, 0])


def test_the_least_come_first():
    assert least(jnp.array([3.0, -1.0, 2.0, 0.0]), 3).tolist() == [1, 3, 2]


def test_a_running_loss_is_the_mean_at_first_and_forgets_later():
    loss, batches = jnp.float32(99), [4.0, 2.0, 9.0]  # what stood there before anything was seen has no part
    for count, now in enumerate(batches):
        loss = running_loss(loss, now, True, count, 100.0)
        assert loss == pytest.approx(np.mean(batches[: count + 1]))
    assert running_loss(loss, 1e9, False, 3, 100.0) == loss
    assert running_loss(loss, 15.0, True, 1000, 10.0) == pytest.approx(5 + 0.1 * 10)
