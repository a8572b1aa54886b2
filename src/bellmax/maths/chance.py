"""Random numbers for loops so tight that JAX's own generator would cost ten times the work.

A key is used once, and is itself 64 random bits: `uniform` stirs them with the finaliser of MurmurHash3 (Appleby, 2011,
https://github.com/aappleby/smhasher) instead of hashing them anew. Good for choosing an action or a successor; where
thousands of numbers come from one key, take `jax.random`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array

GOLDEN = 0x9E3779B9  # 2^32 over the golden ratio: multiples of it are spread evenly


def uniform(key: Array, shape: tuple[int, ...] = ()) -> Array:
    """Numbers from [0, 1), float32, of `shape`. `key` is one key, and must not be used for anything else."""
    words = jax.random.key_data(key)
    count = jnp.arange(1, math.prod(shape) + 1, dtype=jnp.uint32).reshape(shape)
    bits = stir(stir(words[0] + jnp.uint32(GOLDEN)) + words[1] + count * jnp.uint32(GOLDEN))
    return (bits >> 8).astype(jnp.float32) * jnp.float32(2**-24)


def stir(bits: Array) -> Array:
    """A bijection of uint32 in which every bit of the input sways every bit of the output."""
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
    return bits ^ (bits >> 16)


def choose(probabilities: Array, key: Array) -> Array:
    """An index drawn from `probabilities` [n], which sum to 1 -> int32. What has probability 0 is never drawn."""
    return invert(probabilities, uniform(key))


def invert(probabilities: Array, number: Array) -> Array:
    """The index at which the running sum of `probabilities` [n] passes `number` from [0, 1) -> int32."""
    passed = jnp.cumsum(probabilities) <= number
    last = probabilities.shape[0] - 1 - jnp.argmax(probabilities[::-1] > 0)  # the sum may end a little below 1
    return jnp.minimum(passed.sum(), last).astype(jnp.int32)
