"""The figure: gold and proxy over the root of the KL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bellmax.report.canvas import GREY, PALETTE, STYLE, new_figure, save

TITLES = {"best-of-n": "best-of-n", "ppo": "PPO"}
SIZES = ("small", "medium", "large")
LOWEST = -4.0  # what lies below is cut off


def draw(found: Mapping[str, Mapping[str, Sequence[Any]]], path: Path) -> Path:
    """By the part, by the name: lines of one or several seeds, of which the first is drawn."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure = new_figure(on_screen=False, size=(12, 8.5))
        grid = figure.subplots(2, len(found), squeeze=False, sharey="row")
        for column, (part, named) in enumerate(found.items()):
            _sizes(grid[0, column], named, part)
            _mitigations(grid[1, column], named, part)
        for axes in grid[:, 0]:
            axes.set_ylabel("gained over the policy before")
        for axes in grid[1]:
            axes.set_xlabel("square root of the KL from the policy before (nats)")
        return save(figure, path)


def _sizes(axes: Any, named: Mapping[str, Sequence[Any]], part: str) -> None:
    """Gold and proxy of the three sizes, and the forms."""
    for colour, size in zip(PALETTE, SIZES):
        line = named[size][0]
        smooth = line.smooth
        axes.plot(smooth.distance, smooth.gold, "-", color=colour, linewidth=2, label=f"{size}: gold")
        axes.plot(smooth.distance, smooth.proxy, "--", color=colour, linewidth=1.4, label=f"{size}: proxy")
        across = np.linspace(0, line.distance.max(), 100)
        axes.plot(across, line.fit(across), ":", color=colour, linewidth=1.6, label=f"{size}: fitted form")
        far, high = line.peak
        axes.plot([far], [high], "o", color=colour, markersize=7)
    _finish(axes, f"{TITLES[part]}: reward models of three sizes", columns=3)


def _mitigations(axes: Any, named: Mapping[str, Sequence[Any]], part: str) -> None:
    """Gold of everything that begins with the small model."""
    names = [name for name in named if name.startswith("small")]
    for colour, name in zip(PALETTE, names):
        line = named[name][0]
        smooth = line.smooth
        style = "-" if name == "small" else (0, (5, 1))
        axes.plot(smooth.distance, smooth.gold, linestyle=style, color=colour, linewidth=2, label=name)
        axes.plot(*([x] for x in line.peak), "o", color=colour, markersize=7)
    _finish(axes, f"{TITLES[part]}: gold reward with what may help the small one", columns=2)


def _finish(axes: Any, title: str, columns: int) -> None:
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    axes.set_ylim(bottom=max(axes.get_ylim()[0], LOWEST))
    axes.set_xlim(left=0)
    axes.set_title(title, loc="left", fontsize=12)
    axes.legend(frameon=False, fontsize=9, ncols=columns, loc="upper center", bbox_to_anchor=(0.5, -0.13))
