"""Rotary positions (Su et al., 2021, https://arxiv.org/abs/2104.09864), stretched as Llama 3 and YaRN stretch them."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.language.config import Rope


def frequencies(rope: Rope, size: int) -> np.ndarray:
    """Radians a position, [size / 2]."""
    plain = rope.theta ** -(np.arange(0, size, 2, dtype=np.float64) / size)
    if rope.kind == "linear":
        return plain / rope.factor
    if rope.kind == "llama3":
        return _llama3(rope, plain)
    if rope.kind == "yarn":
        return _yarn(rope, plain, size)
    return plain


def _llama3(rope: Rope, plain: np.ndarray) -> np.ndarray:
    """Wavelengths above original / low are divided, those below original / high are kept, between them it is mixed."""
    turns = rope.original_positions * plain / (2 * math.pi)
    kept = np.clip((turns - rope.low) / (rope.high - rope.low), 0, 1)
    return (1 - kept) * plain / rope.factor + kept * plain


def _yarn(rope: Rope, plain: np.ndarray, size: int) -> np.ndarray:
    """As Llama 3, but mixed evenly over the index of the frequency (YaRN, eqs. 17 to 23)."""

    def index(turns: float) -> float:
        """The frequency that turns so often over the original length."""
        length = rope.original_positions / (turns * 2 * math.pi)
        return size * math.log(length) / (2 * math.log(rope.theta))

    low, high = index(rope.high), index(rope.low)
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, size - 1)
    divided = np.clip((np.arange(size // 2) - low) / max(high - low, 1e-3), 0, 1)
    return divided * plain / rope.factor + (1 - divided) * plain


def angles(rope: Rope, size: int, positions: Array) -> tuple[Array, Array]:
    """Cosines and sines at positions [...] -> [..., 1, size / 2] each, to broadcast over heads."""
    turned = positions[..., None, None].astype(jnp.float32) * jnp.asarray(frequencies(rope, size), jnp.float32)
    return jnp.cos(turned) * rope.attention_factor, jnp.sin(turned) * rope.attention_factor


def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Turn the pairs (x_i, x_{i + size / 2}) of heads [..., heads, size]."""
    first, second = jnp.split(x, 2, axis=-1)
    cos, sin = cos.astype(x.dtype), sin.astype(x.dtype)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
