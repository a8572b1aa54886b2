"""Losses of pairs by hand, their limits, and slopes that stay finite where probabilities round to 0 or 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.kl_control import steered
from bellmax.maths.preferences import (
    bradley_terry,
    dpo_loss,
    ipo_loss,
    kto_loss,
    log1m_exp,
    log_odds,
    odds_ratio_loss,
    simpo_loss,
)

LOG_3 = float(np.log(3))  # sigmoid(log 3) = 3/4: -log is 0.2876821; sigmoid(-log 3) = 1/4: 1.3862944


def test_bradley_terry():
    np.testing.assert_allclose(bradley_terry(LOG_3 + 2, 2.0), 0.2876821, rtol=1e-5)
    np.testing.assert_allclose(bradley_terry(2.0, LOG_3 + 2), 1.3862944, rtol=1e-5)
    np.testing.assert_allclose(bradley_terry(LOG_3 + 2, 1.5, margin=0.5), 0.2876821, rtol=1e-5)


def test_dpo():
    np.testing.assert_allclose(dpo_loss(2 * LOG_3, 0.5), 0.2876821, rtol=1e-5)
    # a quarter of the pairs the wrong way round: 3/4 * 0.2876821 + 1/4 * 1.3862944
    np.testing.assert_allclose(dpo_loss(2 * LOG_3, 0.5, 0.25), 0.5623352, rtol=1e-5)
    np.testing.assert_allclose(dpo_loss(0.0, 0.5, 0.25), np.log(2), rtol=1e-6)
    # and it is smallest where sigmoid(beta gap) = 3/4
    assert jax.grad(dpo_loss)(2 * LOG_3, 0.5, 0.25) == pytest.approx(0, abs=1e-6)


def test_ipo():
    assert ipo_loss(3.0, 0.25) == 1.0  # (3 - 2)^2
    assert ipo_loss(2.0, 0.25) == 0.0


def test_simpo():
    np.testing.assert_allclose(simpo_loss(-1.0, -1.0 - LOG_3, 2.0, LOG_3), 0.2876821, rtol=1e-5)


def test_kto():
    np.testing.assert_allclose(kto_loss(jnp.float32(2.0), True, 2 - LOG_3, 1.0), 0.25, rtol=1e-5)
    np.testing.assert_allclose(kto_loss(jnp.float32(2.0), False, 2 - LOG_3, 1.0), 0.75, rtol=1e-5)


def test_odds():
    # p = 3/4: odds 3; p = 1/2: odds 1; their ratio 3
    np.testing.assert_allclose(log_odds(jnp.log(0.75)), LOG_3, rtol=1e-5)
    np.testing.assert_allclose(odds_ratio_loss(jnp.log(0.75), jnp.log(0.5)), 0.2876821, rtol=1e-5)


def test_log1m_exp_does_not_cancel():
    """Against float64; log(1 - exp(x)) as it stands in float32 is -inf at -1e-8 and 0 at -20."""
    x = np.float32([-1e-8, -1e-3, -0.5, -0.69, -0.7, -3.0, -20.0])
    exactly = x.astype(float)
    np.testing.assert_allclose(log1m_exp(x), np.log(-np.expm1(exactly)), rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(jax.grad(log1m_exp))(x), -1 / np.expm1(-exactly), rtol=1e-4)
    assert not np.isfinite(jnp.log(1 - jnp.exp(x[0])))


def test_sure_answers_have_finite_losses_and_slopes():
    for chosen, rejected in ((0.0, -5.0), (-5.0, 0.0), (-1e-9, -80.0), (-80.0, -1e-9)):
        value, slope = jax.value_and_grad(odds_ratio_loss)(jnp.float32(chosen), jnp.float32(rejected))
        assert jnp.isfinite(value)
        assert jnp.isfinite(slope)
    for gap in (-1e4, 1e4):
        assert jnp.isfinite(jax.value_and_grad(dpo_loss)(gap, 1.0, 0.1)[0])


def test_the_weight_of_the_kl_is_steered():
    """By a tenth of how far off the KL is, which counts as a fifth at most (Ziegler et al., section 2.2)."""
    np.testing.assert_allclose(steered(2.0, 6.6, 6.0, 0.1), 2 * 1.01, rtol=1e-6)
    np.testing.assert_allclose(steered(2.0, 60.0, 6.0, 0.1), 2 * 1.02, rtol=1e-6)
    np.testing.assert_allclose(steered(2.0, -3.0, 6.0, 0.1), 2 * 0.98, rtol=1e-6)
    assert steered(2.0, 6.0, 6.0, 0.1) == 2.0
