"""Pictures as plain NumPy: shapes with soft edges, painted over uint8 [height, width, 3] images.

A shape is its signed distance in pixels, negative inside, for every pixel (Quilez, 2D distance functions,
https://iquilezles.org/articles/distfunctions2d/).
"""

from __future__ import annotations

import numpy as np

Colour = tuple[int, int, int]
Point = tuple[float, float]  # row, column, in pixels


def canvas(height: int, width: int, colour: Colour) -> np.ndarray:
    """An image of one colour, uint8 [height, width, 3]."""
    return np.full((height, width, 3), colour, np.uint8)


def paint(image: np.ndarray, distance: np.ndarray, colour: Colour) -> None:
    """Paint the shape with this signed distance [height, width] over `image`, in place."""
    cover = np.clip(0.5 - distance, 0, 1)[..., None]
    image[:] = np.round(cover * np.asarray(colour) + (1 - cover) * image).astype(np.uint8)


def disc(image: np.ndarray, centre: Point, radius: float) -> np.ndarray:
    """The distance to a disc."""
    row, column = _pixels(image)
    return np.hypot(row - centre[0], column - centre[1]) - radius


def box(image: np.ndarray, centre: Point, height: float, width: float, corner: float = 0) -> np.ndarray:
    """The distance to a rectangle whose corners are rounded with radius `corner`."""
    row, column = _pixels(image)
    down = np.abs(row - centre[0]) - height / 2 + corner
    across = np.abs(column - centre[1]) - width / 2 + corner
    outside = np.hypot(np.maximum(down, 0), np.maximum(across, 0))
    return outside + np.minimum(np.maximum(down, across), 0) - corner


def rod(image: np.ndarray, start: Point, end: Point, radius: float) -> np.ndarray:
    """The distance to a line from `start` to `end` with round ends."""
    row, column = _pixels(image)
    along = end[0] - start[0], end[1] - start[1]
    dot = (row - start[0]) * along[0] + (column - start[1]) * along[1]
    share = np.clip(dot / max(along[0] ** 2 + along[1] ** 2, 1e-9), 0, 1)
    return np.hypot(row - start[0] - share * along[0], column - start[1] - share * along[1]) - radius


def _pixels(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    row, column = np.ogrid[: image.shape[0], : image.shape[1]]
    return row + 0.5, column + 0.5
