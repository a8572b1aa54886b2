"""Mixtures of normals and the divergence from the standard normal, by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.maths.mixtures import NormalMixture, kl_from_standard_normal

# two numbers: the first a quarter N(0, 1) and three quarters N(2, 1/2), the second N(-1, e) alone
MIXTURE = NormalMixture(
    jnp.array([[0.0, jnp.log(3.0)], [5.0, -1e9]]),
    jnp.array([[0.0, 2.0], [-1.0, 7.0]]),
    jnp.array([[0.0, jnp.log(0.5)], [1.0, 0.0]]),
)


def density(x, mean, std):
    return np.exp(-(((x - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))


def test_the_density_of_a_mixture_by_hand():
    first = 0.25 * density(1.0, 0.0, 1.0) + 0.75 * density(1.0, 2.0, 0.5)
    wanted = np.log(first) + np.log(density(0.5, -1.0, np.e))
    np.testing.assert_allclose(MIXTURE.log_prob(jnp.array([1.0, 0.5])), wanted, rtol=1e-5)


def test_temperature_sharpens_the_choice_and_narrows_the_parts():
    def drawn(temperature):
        keys = jax.random.split(jax.random.key(0), 4000)
        return np.asarray(jax.vmap(MIXTURE.sample, (0, None))(keys, temperature))

    plain, cold, hot = drawn(1.0), drawn(0.5), drawn(2.0)
    np.testing.assert_allclose(plain.mean(0), [1.5, -1.0], atol=0.12)  # 3/4 of 2, and -1
    # at 1/2 weights are squared: 1 to 9; at 2 their roots: 1 to sqrt 3
    np.testing.assert_allclose(cold[:, 0].mean(), 1.8, atol=0.06)
    np.testing.assert_allclose(hot[:, 0].mean(), 2 * 3**0.5 / (1 + 3**0.5), atol=0.1)
    np.testing.assert_allclose([x[:, 1].var() for x in (cold, plain, hot)], np.e**2 * np.array([0.5, 1, 2]), rtol=0.1)
    np.testing.assert_allclose(drawn(0.0), np.tile([2.0, -1.0], (4000, 1)), atol=0.02)


def test_the_divergence_from_a_standard_normal_by_hand():
    assert kl_from_standard_normal(jnp.zeros(3), jnp.zeros(3)) == 0
    # one number: (mean^2 + std^2 - 1) / 2 - log std, with mean 2 and std e: (4 + e^2 - 1) / 2 - 1
    np.testing.assert_allclose(kl_from_standard_normal(jnp.array([2.0]), jnp.array([1.0])), (3 + np.e**2) / 2 - 1)
