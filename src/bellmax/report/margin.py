"""Names of curves beside their ends, where they cover no data; below the axes where that does not fit."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST, _LONGEST = 8, 32  # names, and characters of one, that go beside the axes
_SIZE = 10.5  # of the font, in points
_GAP = 1.3  # from one line of text to the next, in font sizes


class Note(NamedTuple):
    """The name of a line in a plot."""

    text: str
    height: float  # where the line ends; NaN for a line without points
    end: float  # its last step; infinite for a line across the whole plot
    color: str
    line: Any


def write_in_margin(axes: Axes, notes: Sequence[Note]) -> None:
    """Name every line: right of its end if all of them end there, in a legend below the axes otherwise."""
    right = axes.get_xlim()[1]
    fits = len(notes) <= _MOST and all(len(note.text) <= _LONGEST for note in notes)
    if fits and all(note.end > 0.9 * right for note in notes):
        _beside(axes, notes)
    else:
        _below(axes, notes)


def _beside(axes: Axes, notes: Sequence[Note]) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)  # as it is from here on
    panels = axes.get_subplotspec().get_geometry()[0]  # type: ignore[union-attr]  # below each other in the figure
    points = 0.75 * 72 * axes.get_figure().get_size_inches()[1] / panels  # type: ignore[union-attr]  # the axes' height
    heights = [(note.height - low) / (high - low) for note in notes]
    for note, height in zip(notes, spread(heights, _GAP * _SIZE / points)):
        place: dict[str, Any] = {"transform": axes.transAxes, "va": "center", "ha": "left"}
        axes.text(1.01, height, note.text, color=note.color, fontsize=_SIZE, gid="name", **place)


def _below(axes: Axes, notes: Sequence[Note]) -> None:
    from matplotlib.transforms import ScaledTranslation

    figure: Any = axes.get_figure()
    texts = [textwrap.fill(note.text, 80) for note in notes]
    columns = 1 if max(map(len, texts)) > 40 else 2
    width, height = figure.get_size_inches()
    lines = math.ceil(sum(text.count("\n") + 1 for text in texts) / columns)
    figure.set_size_inches(width, height + lines * 1.5 * _SIZE / 72)
    place = axes.transAxes + ScaledTranslation(-0.5, -0.5, figure.dpi_scale_trans)  # inches: under the axis' name
    look: dict[str, Any] = {"loc": "upper left", "borderaxespad": 0, "fontsize": _SIZE, "frameon": False}
    axes.legend(
        [note.line for note in notes], texts, bbox_to_anchor=(0, 0), bbox_transform=place, ncols=columns, **look
    )


def spread(heights: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Move heights apart until neighbours are `gap` apart, in their order and as little as possible (least squares).

    Between `low` and `high` if there is room. With k gaps taken off the k-th lowest, "at least a gap apart" reads
    "not descending": isotonic regression, by pooling neighbours that violate it.
    """
    order = np.argsort(heights, kind="stable")
    pools: list[tuple[float, int]] = []  # mean, count
    for rank, index in enumerate(order):
        mean, count = heights[index] - rank * gap, 1
        while pools and pools[-1][0] >= mean:
            below, more = pools.pop()
            mean, count = (mean * count + below * more) / (count + more), count + more
        pools.append((mean, count))
    moved = np.concatenate([np.full(count, mean) for mean, count in pools])
    moved = np.clip(moved, low, max(low, high - (len(moved) - 1) * gap)) + gap * np.arange(len(moved))
    placed = np.empty(len(moved))
    placed[order] = moved
    return placed
