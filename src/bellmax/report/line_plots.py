"""Curves that are no learning curves of runs: errors over episodes or parameters, rewards and regrets of bandits."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bellmax.report import wording
from bellmax.report.canvas import GREY, STYLE, look_of, new_figure, save
from bellmax.report.margin import Note, write_in_margin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Panel(NamedTuple):
    """One pair of axes, and what is drawn in it."""

    curves: Mapping[str, tuple[ArrayLike, ArrayLike]]  # by name: x and y, [n] each
    across: str  # what x is
    up: str  # what y is
    percent: bool = False  # is y a share, to be written as per cent?
    log: bool = False  # x on a logarithmic scale
    references: Mapping[str, float] = {}  # horizontal lines to compare with
    limits: tuple[float | None, float | None] = (None, None)  # of y; None is worked out


def plot_lines(
    panels: Panel | Sequence[Panel], path: str | Path | None = None, title: str = "", caption: str = ""
) -> Path | Figure:
    """Panels below each other -> the file written, or the figure if there is no path.

    A name has the same colour in every panel, and stands beside the end of its curve. Files are written as by `plot`.
    RMS errors, say: plot_lines(Panel({"TD(0)": (episodes, errors)}, "episodes", "RMS error"), "errors.png").
    """
    import matplotlib

    several = [panels] if isinstance(panels, Panel) else list(panels)
    names = list(dict.fromkeys(name for panel in several for name in panel.curves))
    with matplotlib.rc_context(STYLE):
        figure = new_figure(on_screen=path is None, size=(8, 5 if len(several) == 1 else 3.3 * len(several) + 0.5))
        for axes, panel in zip(np.ravel(figure.subplots(len(several))), several):
            _draw(axes, panel, names)
        figure.align_ylabels()
        figure.axes[0].set_title(textwrap.fill(title, 70), loc="left", fontsize=13, pad=10)
        if caption:
            figure.supxlabel(textwrap.fill(caption, 118), fontsize=9, color=GREY, x=0.01, ha="left")
        return figure if path is None else save(figure, Path(path))


def _draw(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    notes = []
    for name, (x, y) in panel.curves.items():
        x, y = np.asarray(x, float), np.asarray(y, float)
        look, known = look_of(names.index(name)), np.flatnonzero(np.isfinite(y))
        few = "o" if len(x) <= 25 else ""
        (line,) = axes.plot(x, y, linewidth=1.8 if len(x) <= 300 else 1.2, marker=few, markersize=4, label=name, **look)
        height = float(y[known[-_tail(len(known)) :]].mean()) if len(known) else math.nan
        notes.append(Note(name, height, float(x[known[-1]]) if len(known) else math.nan, look["color"], line))
    for name, value in panel.references.items():
        line = axes.axhline(value, color=GREY, linestyle=":", linewidth=1.4, zorder=1.5)
        notes.append(Note(name, value, math.inf, GREY, line))
    _finish(axes, panel)
    if len(notes) > 1:
        write_in_margin(axes, notes)


def _tail(points: int) -> int:
    """How many points at the end say how high a noisy curve ends."""
    return max(1, points // 50)


def _finish(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

    axes.set_xlabel(panel.across)
    axes.set_ylabel(panel.up)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    begins, ends = ([float(of(x)) for x, _ in panel.curves.values() if np.size(x)] for of in (np.min, np.max))
    if panel.log:
        axes.set_xscale("log")
    else:
        axes.set_xlim(min([0.0, *begins]), max([*ends, 1e-9]) * 1.015)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    if panel.limits != (None, None):
        axes.set_ylim(*panel.limits)
    for axis, ends_of in ((axes.xaxis, axes.get_xlim), (axes.yaxis, axes.get_ylim)):
        axis.set_major_formatter(FuncFormatter(lambda x, _, of=ends_of: wording.short(x, max(map(abs, of())))))
    if panel.percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1, 0, symbol=" %"))
