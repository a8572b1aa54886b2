"""From any tree of spaces to a cell of a table."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths import tables
from bellmax.maths.chance import GOLDEN, stir
from bellmax.networks.encoder import Encoder
from bellmax.spaces import Box, Tree


class Exact(eqx.Module):
    """What is made of choices -> its number. Two that differ never share a cell."""

    sizes: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, thing: Any) -> Array:
        return tables.number(thing, self.sizes)


class SimHash(eqx.Module):
    """Anything -> a cell in 0 .. cells - 1: the signs of A x + b, stirred (Charikar, 2002).

    x are all its numbers in a row, choices as one-hot, pixels as shares of 255; A and b are normal. Points at an angle
    of t share a sign with probability 1 - t / pi.
    """

    encoder: Encoder
    directions: Array  # A, [size, bits]
    offset: Array  # b, [bits]
    cells: int = eqx.field(static=True)

    def __init__(self, key: Array, space: Tree, bits: int, cells: int):
        encoder_key, directions_key, offset_key = jax.random.split(key, 3)
        self.encoder = Encoder(encoder_key, jax.tree.map(_in_a_row, space))
        self.directions = jax.random.normal(directions_key, (self.encoder.size, bits))
        self.offset = jax.random.normal(offset_key, (bits,))
        self.cells = cells

    def __call__(self, thing: Any) -> Array:
        thing = jax.tree.map(lambda x: x / 255.0 if x.dtype == jnp.uint8 else x, thing)
        signs = self.encoder(thing) @ self.directions + self.offset > 0
        words = stir(jnp.arange(1, len(signs) + 1, dtype=jnp.uint32) * jnp.uint32(GOLDEN))
        code = jnp.where(signs, words, 0).sum(dtype=jnp.uint32)
        return (stir(code) % self.cells).astype(jnp.int32)


def table_for(key: Array, space: Tree, bits: int, cells: int) -> Exact | SimHash:
    """How to find the cell of an element of `space`, exactly where `cells` are enough for all there are."""
    try:
        sizes = tables.sizes(space)
    except ValueError:  # not made of choices alone
        return SimHash(key, space, bits, cells)
    return Exact(sizes) if math.prod(sizes) <= cells else SimHash(key, space, bits, cells)


def _in_a_row(space: Any) -> Any:
    """A picture as so many numbers: what stands out in it does not matter here."""
    return Box((math.prod(space.shape),)) if isinstance(space, Box) else space
