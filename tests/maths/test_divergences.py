"""The three estimators of KL(p || q), with the expectation over p taken exactly: every outcome is counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.divergences import kl_k1, kl_k2, kl_k3

P_LOGITS, Q_LOGITS = jnp.array([0.5, -1.0, 1.2, 0.1]), jnp.array([-0.4, 0.9, 0.3, -3.5])
P, Q = jax.nn.softmax(P_LOGITS), jax.nn.softmax(Q_LOGITS)
LOG_Q = jnp.log(Q)


def kl(p, q):
    return (p * jnp.log(p / q)).sum()


def expected(estimator):
    return (P * estimator(jnp.log(P), LOG_Q)).sum()


def gradient(estimator):
    """The mean over x ~ p of the estimator's gradient by p's parameters: what a loss on samples descends."""
    return jax.jit(jax.grad(lambda z: (P * estimator(jax.nn.log_softmax(z), LOG_Q)).sum()))(P_LOGITS)


def test_by_hand():
    # p = 1/2, q = 1/8: log p/q = 2 log 2 = 1.3862944; its square, halved: 0.9609060;
    # q/p - 1 - log q/p = 1/4 - 1 + 1.3862944 = 0.6362944
    p, q = jnp.log(0.5), jnp.log(0.125)
    np.testing.assert_allclose([f(p, q) for f in (kl_k1, kl_k2, kl_k3)], [1.3862944, 0.9609060, 0.6362944], rtol=1e-6)
    # and from the other side: -1.3862944, 0.9609060, 4 - 1 - 1.3862944
    np.testing.assert_allclose([f(q, p) for f in (kl_k1, kl_k2, kl_k3)], [-1.3862944, 0.9609060, 1.6137056], rtol=1e-6)


@pytest.mark.parametrize("estimator", [kl_k1, kl_k3])
def test_k1_and_k3_are_unbiased(estimator):
    np.testing.assert_allclose(expected(estimator), kl(P, Q), rtol=1e-5)


def test_k2_is_biased_and_k1_of_the_other_direction_is_another_number():
    assert abs(expected(kl_k2) - kl(P, Q)) > 0.04
    assert abs(kl(Q, P) - kl(P, Q)) > 0.05  # so the order of the arguments is tested above


def test_the_gradient_of_k2_is_the_gradient_of_the_kl():
    exact = jax.grad(lambda z: kl(jax.nn.softmax(z), Q))(P_LOGITS)
    np.testing.assert_allclose(gradient(kl_k2), exact, rtol=1e-4)
    # k1's has mean zero, and k3's is that of KL(q || p): neither may stand in for k2 as a loss.
    np.testing.assert_allclose(gradient(kl_k1), 0, atol=1e-6)
    other_way = jax.grad(lambda z: kl(Q, jax.nn.softmax(z)))(P_LOGITS)
    np.testing.assert_allclose(gradient(kl_k3), other_way, rtol=1e-4)
    assert np.abs(other_way - exact).max() > 0.05


def test_k3_is_never_negative_and_exactly_zero_where_the_two_agree():
    tiny = np.logspace(-12, 1, 4000, dtype=np.float32)
    ratios = jnp.concatenate([jnp.asarray(tiny), -jnp.asarray(tiny)])
    assert (kl_k3(jnp.zeros_like(ratios), ratios) >= 0).all()
    # Near zero it is x^2 / 2 + x^3 / 6, which exp(x) - 1 - x by the letter loses in rounding.
    small = jnp.float32(1e-4)
    np.testing.assert_allclose(kl_k3(0.0, small), 5.00017e-9, rtol=0.01)
    assert abs(jnp.exp(small) - 1 - small - 5.00017e-9) > 0.1 * 5.00017e-9
    log_prob = jnp.log(P)
    for estimator in (kl_k1, kl_k2, kl_k3):
        np.testing.assert_array_equal(estimator(log_prob, log_prob), np.zeros(4))
