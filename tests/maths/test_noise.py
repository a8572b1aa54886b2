"""Exploration noise: its steps by hand, and its variance and correlation as they were derived."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.noise import GaussianNoise, OrnsteinUhlenbeck, smoothed
from bellmax.maths.schedules import Linear

NOW = jnp.float32(0)


def walk(noise, steps, size, clock=NOW):
    """`steps` draws, one after the other -> [steps, size]."""

    def step(memory, key):
        x, memory = noise.draw(memory, key, clock)
        return memory, x

    keys = jax.random.split(jax.random.key(0), steps)
    return np.asarray(jax.jit(lambda: jax.lax.scan(step, noise.begin(size), keys)[1])(), np.float64)


def test_gaussian_noise_has_its_deviation_and_no_memory():
    x = walk(GaussianNoise(0.3), 4000, 5)
    assert abs(x.mean()) < 4 * 0.3 / np.sqrt(20_000)  # four standard errors
    assert abs(x.std() / 0.3 - 1) < 4 / np.sqrt(40_000)
    assert abs((x[1:] * x[:-1]).mean() / 0.09) < 4 / np.sqrt(20_000)
    assert abs((x[:, 0] * x[:, 1]).mean() / 0.09) < 4 / np.sqrt(4000)


def test_ornstein_and_uhlenbeck_by_hand():
    noise, key = OrnsteinUhlenbeck(theta=0.5, sigma=0.2, dt=0.25), jax.random.key(1)
    shake = np.asarray(jax.random.normal(key, (2,)))
    drawn, memory = noise.draw(noise.begin(2)._replace(noise=jnp.array([1.0, -2.0])), key, NOW)
    # x - 0.5 * 0.25 x + 0.2 * sqrt(0.25) N = 0.875 x + 0.1 N
    np.testing.assert_allclose(drawn, np.array([0.875, -1.75]) + 0.1 * shake, atol=1e-6)
    np.testing.assert_array_equal(drawn, memory.noise)


@pytest.mark.parametrize(("theta", "sigma", "dt"), [(0.15, 0.2, 1.0), (0.5, 0.3, 0.5)])
def test_far_from_its_start_its_variance_and_correlation_are_as_derived(theta, sigma, dt):
    """v = (1 - theta dt)^2 v + sigma^2 dt gives v = sigma^2 / (theta (2 - theta dt))."""
    x = walk(OrnsteinUhlenbeck(theta, sigma, dt), 500, 1000)[100:]
    variance = sigma**2 / (theta * (2 - theta * dt))
    assert np.square(x).mean() == pytest.approx(variance, rel=0.02)
    for k in (1, 3):
        assert (x[k:] * x[:-k]).mean() / variance == pytest.approx((1 - theta * dt) ** k, abs=0.02)
    start = walk(OrnsteinUhlenbeck(theta, sigma, dt), 1, 4000)
    assert np.square(start).mean() == pytest.approx(sigma**2 * dt, rel=0.1), "it begins at 0 and grows"


@pytest.mark.parametrize("make", [lambda s: GaussianNoise(s), lambda s: OrnsteinUhlenbeck(0.0, s, 1.0)])
def test_its_size_may_be_scheduled(make):
    first, half = (walk(make(Linear(1.0, 0.0, 100.0)), 1, 4, jnp.float32(t)) for t in (0, 50))
    np.testing.assert_allclose(half, 0.5 * first, rtol=1e-6)
    assert not walk(make(Linear(1.0, 0.0, 100.0)), 3, 4, jnp.float32(100)).any()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"GaussianNoise.std = -1"):
        GaussianNoise(-1)
    with pytest.raises(ValueError, match=r"OrnsteinUhlenbeck.dt = 0"):
        OrnsteinUhlenbeck(dt=0)


def test_smoothed_by_hand():
    unit, key = jnp.array([[0.0, 0.9], [-0.95, 0.2], [0.0, -1.0]]), jax.random.key(3)
    noise = np.asarray(jax.random.normal(key, unit.shape))
    assert (np.abs(0.2 * noise) > 0.15).any(), "something is cut"
    assert (np.abs(0.2 * noise) < 0.15).any(), "something is not"
    by_hand = [
        [min(1.0, max(-1.0, u + min(0.15, max(-0.15, 0.2 * n)))) for u, n in zip(*row)] for row in zip(unit, noise)
    ]
    np.testing.assert_allclose(smoothed(unit, key, 0.2, 0.15), by_hand, atol=1e-6)
    np.testing.assert_array_equal(smoothed(unit, key, 0.0, 0.5), unit)
    many = np.asarray(smoothed(jnp.zeros(4000), key, 0.1, 0.5))
    assert abs(many.std() / 0.1 - 1) < 4 / np.sqrt(8000)
