"""Mixtures of normal distributions (Bishop, Mixture density networks, 1994, https://publications.aston.ac.uk/id/eprint/373/)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class NormalMixture(NamedTuple):
    """`n` independent numbers, each a mixture of `k` normals; all fields: [..., n, k]."""

    logits: Array  # of the weights
    mean: Array
    log_std: Array

    def log_prob(self, x: Array) -> Array:
        """log p(x), summed over the numbers; x: [..., n] -> [...]."""
        z = (x[..., None] - self.mean) * jnp.exp(-self.log_std)
        each = -0.5 * (jnp.square(z) + jnp.log(2 * jnp.pi)) - self.log_std
        return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + each, axis=-1).sum(-1)

    def sample(self, key: Array, temperature: float | Array = 1.0) -> Array:
        """Numbers drawn at a temperature: logits are divided by it, variances multiplied -> [..., n].

        As in Ha & Eck, 2018 (https://arxiv.org/abs/1704.03477, eq. 8). Towards 0 it is the mean of the likeliest part.
        """
        part_key, noise_key = jax.random.split(key)
        temperature = jnp.maximum(temperature, 1e-6)
        part = jax.random.categorical(part_key, self.logits / temperature)[..., None]
        mean, log_std = (jnp.take_along_axis(x, part, -1)[..., 0] for x in (self.mean, self.log_std))
        return mean + jnp.sqrt(temperature) * jnp.exp(log_std) * jax.random.normal(noise_key, mean.shape)


def kl_from_standard_normal(mean: Array, log_std: Array) -> Array:
    """KL(N(mean, std^2) || N(0, 1)), summed over the last axis (Kingma & Welling, 2014, appendix B)."""
    return 0.5 * (jnp.square(mean) + jnp.exp(2 * log_std) - 1 - 2 * log_std).sum(-1)
