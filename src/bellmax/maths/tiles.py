"""Tile coding: a point is described by the tile it lies in, in each of several grids laid askew over its space.

Sutton & Barto, Reinforcement Learning, 2nd edition, section 9.5.4 (http://incompleteideas.net/book/the-book-2nd.html).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array


def tile_indices(obs: Array, low: Array, high: Array, tilings: int, tiles: int) -> Array:
    """The tile that `obs` [d] lies in, in each tiling -> int32 [tilings], in 0 .. cells(d, tiles) - 1, row by row.

    A tile is (high - low) / tiles wide in every dimension; low, high: [d]. What lies outside counts as on the border.
    """
    across = jnp.clip((obs - low) / (high - low), 0, 1) * tiles  # [d], in tiles
    places = jnp.floor(across + offsets(len(low), tilings)).astype(jnp.int32)  # [tilings, d]
    return places @ jnp.asarray((tiles + 1) ** np.arange(len(low))[::-1], jnp.int32)


def offsets(dimensions: int, tilings: int) -> np.ndarray:
    """How far each tiling is moved, as a share of a tile: float32 [tilings, dimensions], in [0, 1).

    Tiling k is moved k times by (1, 3, 5, ...) / tilings. Moved evenly they would favour the diagonals (figure 9.11).
    """
    odd = 2 * np.arange(dimensions) + 1
    return (np.arange(tilings)[:, None] * odd % tilings / tilings).astype(np.float32)


def cells(dimensions: int, tiles: int) -> int:
    """Tiles in one tiling: one more a dimension than lie between `low` and `high`, since it is moved."""
    return (tiles + 1) ** dimensions
