"""A world on a grid, with what is known of it: values as colours, actions as arrows, a path as a line.

Everything comes as arrays, so that an exact solution, a learned table and a network are drawn alike.
"""

from __future__ import annotations

import functools
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bellmax.report import wording
from bellmax.report.canvas import GREY, PALETTE, STYLE, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CLOSED, _OVER, _GOAL, _PATH = "#E6E6E6", "#6F7682", "#FFC947", PALETTE[1]
_DARK, _LIGHT = "#1A1A1A", "#FFFFFF"
_MOST_NUMBERS, _MOST_ARROWS = 14, 40  # rows or columns, beyond which there is no room for them
_STEPS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
_STEPS |= {"west": (0, -1), "east": (0, 1), "north": (-1, 0), "south": (1, 0)}


@dataclass(frozen=True, eq=False)
class Board:
    """What is drawn: one entry a cell, row by row from the top left."""

    shape: tuple[int, int]  # rows, columns
    values: np.ndarray  # [cells]; NaN has no colour and no number
    chosen: np.ndarray  # bool [cells, actions]: the actions that get an arrow
    actions: tuple[str, ...]  # what they are called: "left", "down", ..., "up-right", "stay"
    over: np.ndarray  # bool [cells]: an episode has ended there
    closed: np.ndarray  # bool [cells]: nobody ever stands there
    marks: tuple[str, ...] = ()  # a letter for a cell, such as "S" and "G"; "" for none
    path: tuple[int, ...] = ()  # cells walked through

    @functools.cached_property
    def letters(self) -> np.ndarray:
        return np.array(self.marks or [""] * len(self.values), object)

    @functools.cached_property
    def shown(self) -> np.ndarray:
        """The values that have a colour; NaN elsewhere."""
        return np.where(self.closed | self.over, np.nan, self.values)

    @functools.cached_property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest of them."""
        known = self.shown[np.isfinite(self.shown)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    @functools.cached_property
    def ink(self) -> np.ndarray:
        """What can be read on each cell: dark on pale, light on deep colours."""
        low, high = self.ends
        deep = np.nan_to_num((self.shown - low) / (high - low)) > 0.6
        return np.where(deep | (self.over & (self.letters != "G")), _LIGHT, _DARK)

    @property
    def numbered(self) -> bool:
        """Is there room for numbers?"""
        return max(self.shape) <= _MOST_NUMBERS

    def place(self, cell: Any) -> tuple[Any, Any]:
        """Where arrows and paths go: row and column of the picture; numbers below them need room."""
        row, column = np.divmod(cell, self.shape[1])
        return row - 0.1 * self.numbered, column


def plot_grid(board: Board, path: str | Path | None = None, title: str = "", caption: str = "") -> Path | Figure:
    """The board as a picture -> the file written, or the figure if there is no path.

    Colours are values, from the lowest (pale) to the highest (deep blue). A cell has an arrow for each action in
    `chosen`, and its value as a number where there is room. Files are written as those of `plot`.
    """
    import matplotlib

    rows, columns = board.shape
    side = min(1.0, 11 / max(rows, columns))  # inches a cell
    size = max(side * columns + 1.7, 5.4), max(side * rows + 0.9, 2.6) + 0.25 * bool(caption)
    with matplotlib.rc_context(STYLE):
        figure = new_figure(on_screen=path is None, size=size)
        axes = figure.subplots()
        _draw_cells(axes, board, side)
        _draw_path(axes, board)
        _draw_arrows(axes, board)
        _draw_letters(axes, board, side)
        axes.set_title(textwrap.fill(title, int(size[0] * 9)), loc="left", fontsize=13, pad=10)
        if caption:
            about = textwrap.fill(caption, int(size[0] * 14.5))
            figure.supxlabel(about, fontsize=9, color=GREY, x=0.01, ha="left")
        return figure if path is None else save(figure, Path(path), trim=True)


def direction(name: str) -> tuple[int, int]:
    """How far an action leads down and across: "up-right" -> (-1, 1); (0, 0) for what is no direction."""
    steps = [_STEPS.get(word, (0, 0)) for word in name.lower().replace("_", "-").split("-")]
    return sum(step[0] for step in steps), sum(step[1] for step in steps)


def _draw_cells(axes: Axes, board: Board, side: float) -> None:
    from matplotlib.colors import Normalize, to_rgba

    rows, columns = board.shape
    colours = np.array(value_colours()(Normalize(*board.ends)(np.nan_to_num(board.shown, nan=board.ends[0]))))
    colours[board.over], colours[board.closed] = to_rgba(_OVER), to_rgba(_CLOSED)
    colours[board.over & (board.letters == "G")] = to_rgba(_GOAL)
    axes.imshow(colours.reshape(rows, columns, 4), interpolation="nearest", gid="cells")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xticks(np.arange(1, columns) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, rows) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5 if board.numbered else 0.4)
    axes.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _draw_scale(axes, board.ends, 0.2 / (side * columns))


def _draw_scale(axes: Axes, ends: tuple[float, float], width: float) -> None:
    """The bar that says which colour is which value."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure: Any = axes.get_figure()
    largest = max(map(abs, ends))
    look: dict[str, Any] = {"cax": axes.inset_axes((1 + width, 0, width, 1)), "ticks": MaxNLocator(5)}
    scale = ScalarMappable(Normalize(*ends), value_colours())
    bar = figure.colorbar(scale, format=FuncFormatter(lambda x, _: wording.short(x, largest)), **look)
    bar.set_label("value")
    bar.outline.set_visible(False)


def _draw_arrows(axes: Axes, board: Board) -> None:
    """Arrows for each action that is a direction, dots for one that stays."""
    if max(board.shape) > _MOST_ARROWS:
        return
    single = board.chosen.sum(1) == 1
    long = 0.6 if board.numbered else 0.8
    for index, name in enumerate(board.actions):
        cells = np.flatnonzero(board.chosen[:, index] & ~board.closed & ~board.over)
        row, column = board.place(cells)
        step = np.array(direction(name), float)
        if not step.any():
            axes.scatter(column, row, s=14, color=board.ink[cells], gid=f"arrow {name}", zorder=3)
            continue
        step *= long / 2 / np.hypot(*step)
        scale = np.where(single[cells], 1.35, 1.0)  # a single arrow is centred; several begin in the middle
        tail = np.where(single[cells], 0.675, 0.0)
        look: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "x", "width": 0.045}
        look |= {"headwidth": 4, "headlength": 4, "headaxislength": 3.6, "gid": f"arrow {name}", "zorder": 3}
        begin = column - tail * step[1], row - tail * step[0]
        axes.quiver(*begin, scale * step[1], scale * step[0], color=board.ink[cells], **look)


def _draw_letters(axes: Axes, board: Board, side: float) -> None:
    """Values as numbers, and the marks of starts and goals."""
    digits = digits_of(board.shown)
    for cell, (mark, ink) in enumerate(zip(board.letters, board.ink)):
        row, column = divmod(cell, board.shape[1])
        if board.numbered and np.isfinite(board.shown[cell]):
            aside = len(board.path) > 1  # of the path
            look: dict[str, Any] = {"ha": "left" if aside else "center", "va": "center", "color": ink}
            look |= {"fontsize": 8.5 * side, "gid": "value", "zorder": 4}
            axes.text(column - 0.43 * aside, row + 0.36, f"{board.shown[cell]:.{digits}f}", **look)
        if mark:
            middle = board.over[cell] or not board.numbered
            at = (column, row) if middle else (column - 0.4, row - 0.36)
            look = {"ha": "center" if middle else "left", "va": "center", "color": ink, "weight": "bold"}
            axes.text(at[0], at[1], mark, fontsize=(15 if middle else 9.5) * side, gid="mark", zorder=4, **look)


def _draw_path(axes: Axes, board: Board) -> None:
    if len(board.path) > 1:
        row, column = board.place(np.array(board.path))
        look: dict[str, Any] = {"solid_capstyle": "round", "solid_joinstyle": "round", "zorder": 2.5}
        axes.plot(column, row, color=_LIGHT, linewidth=8, alpha=0.7, **look)
        axes.plot(column, row, color=_PATH, linewidth=5, gid="path", **look)


def digits_of(values: np.ndarray) -> int:
    """How many digits behind the point tell them apart: 3 of 0.542, 2 of 1.23, 1 of -12.3, none of 123."""
    largest = np.nanmax(np.abs(values), initial=0.1) * (1 - 1e-6)  # 1 is written as 1.000
    return int(np.clip(2 - np.floor(np.log10(largest)), 0, 3))


def value_colours() -> Any:
    """Pale to deep blue: ever darker, so that colour-blind readers see the order too, and never black or white."""
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap

    colours = matplotlib.colormaps["YlGnBu"](np.linspace(0.03, 0.9, 256))
    return LinearSegmentedColormap.from_list("values", list(colours))
