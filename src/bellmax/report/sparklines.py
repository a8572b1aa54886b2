"""A curve in one line of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None] | np.ndarray, width: int = 20) -> str:
    """The values as blocks from the lowest ▁ to the highest █, at most `width` characters.

    More values than characters are averaged in equal parts; None, NaN and infinities are blanks; values that do not
    differ are all ▄.
    """
    if width < 1:
        raise ValueError(f"width = {width!r}: it must be at least 1.")
    numbers = np.array([np.nan if value is None else value for value in values], float)
    parts = np.array_split(np.where(np.isfinite(numbers), numbers, np.nan), min(width, len(numbers)) or 1)
    heights = np.array([_mean(part) for part in parts]) if len(numbers) else numbers
    known = heights[~np.isnan(heights)]
    if len(known) == 0:
        return " " * len(heights)
    low, high = known.min(), known.max()
    return "".join(_block(height, low, high) for height in heights)


def _mean(part: np.ndarray) -> float:
    known = part[~np.isnan(part)]
    return float(known.mean()) if len(known) else float("nan")


def _block(height: float, low: float, high: float) -> str:
    if np.isnan(height):
        return " "
    if high == low:
        return "▄"
    level = int((height - low) / (high - low) * len(_BLOCKS))
    return _BLOCKS[min(level, len(_BLOCKS) - 1)]
