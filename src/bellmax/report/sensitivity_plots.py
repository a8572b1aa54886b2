"""Scores over a grid of parameters: curves for one, maps of colours for two, curves of averages for more."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bellmax.report import wording
from bellmax.report.canvas import GREY, PALETTE, STYLE, look_of, new_figure, save
from bellmax.report.grid_plots import digits_of, value_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NUMBERS = 12  # rows or columns, beyond which there is no room for them


class Grid(NamedTuple):
    """What one policy is worth."""

    parameters: Mapping[str, tuple[float, ...]]
    usual: Mapping[str, float]  # where it was trained, or the environment's own
    scores: np.ndarray  # [seed, one axis a parameter]


def plot_grids(
    grids: Mapping[str, Grid], path: str | Path | None = None, title: str = "", caption: str | None = None
) -> Path | Figure:
    """Grids of the same parameters, by name -> the file written, or the figure if there is no path.

    Bands are from the worst seed to the best; the environment's own value is a dotted line, or a frame on a map. The
    caption says so where none is given. Raises ValueError where grids differ.
    """
    import matplotlib

    first = next(iter(grids.values()))
    if any(dict(grid.parameters) != dict(first.parameters) for grid in grids.values()):
        raise ValueError("the grids differ: draw policies together that were played at the same points.")
    maps = len(first.parameters) == 2
    columns = len(grids) if maps else len(first.parameters)
    size = (4.6 * columns + 1.0, 4.6) if maps else (max(4.2 * columns, 7.0), 4.4)
    with matplotlib.rc_context(STYLE):
        figure = new_figure(on_screen=path is None, size=size)
        several = np.ravel(figure.subplots(1, columns, sharey=True, squeeze=False))
        if maps:
            _draw_maps(figure, several, grids)
        else:
            _draw_curves(several, grids)
        figure.suptitle(textwrap.fill(title, int(size[0] * 9)), x=0.01, ha="left", fontsize=13)
        caption = legend(first) if caption is None else caption
        if caption:
            figure.supxlabel(textwrap.fill(caption, int(size[0] * 14)), fontsize=9, color=GREY, x=0.01, ha="left")
        return figure if path is None else save(figure, Path(path))


def legend(grid: Grid) -> str:
    """What the marks mean."""
    if len(grid.parameters) != 2:
        band = "; band: from the worst seed to the best" if len(grid.scores) > 1 else ""
        return f"Dotted: the environment as it is{band}."
    places = [_index(values, grid.usual[name]) for name, values in grid.parameters.items()]
    return "" if None in places else "Framed: the environment as it is."


def _draw_curves(several: Any, grids: Mapping[str, Grid]) -> None:
    """One panel a parameter, averaged over the others."""
    for place, axes in enumerate(several):
        for index, (name, grid) in enumerate(grids.items()):
            parameter = list(grid.parameters)[place]
            rest = tuple(i + 1 for i in range(len(grid.parameters)) if i != place)
            scores, x = grid.scores.mean(axis=rest), grid.parameters[parameter]
            look = look_of(index)
            axes.plot(x, scores.mean(0), marker="o", markersize=4, linewidth=1.8, label=name, **look)
            axes.fill_between(x, scores.min(0), scores.max(0), color=look["color"], alpha=0.15, linewidth=0)
            if index == 0:
                axes.axvline(grid.usual[parameter], color=GREY, linestyle=":", linewidth=1.4, zorder=1.5)
        axes.set_xlabel(parameter)
        axes.grid(axis="y", color="0.9", linewidth=0.8)
    several[0].set_ylabel("score (return of an episode)")
    if len(grids) > 1:
        several[0].legend(frameon=False, fontsize=10)


def _draw_maps(figure: Figure, several: Any, grids: Mapping[str, Grid]) -> None:
    """One map a policy, all with the same colours."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    means = {name: grid.scores.mean(0) for name, grid in grids.items()}
    low, high = (float(of([of(x) for x in means.values()])) for of in (np.min, np.max))
    norm = Normalize(low, high if high > low else low + 1)
    for axes, (name, grid) in zip(several, grids.items()):
        _draw_map(axes, grid, means[name], norm)
        axes.set_title(name if len(grids) > 1 else "", loc="left", fontsize=11)
    several[0].set_ylabel(next(iter(next(iter(grids.values())).parameters)))
    largest = max(abs(low), abs(high))
    look: dict[str, Any] = {"ticks": MaxNLocator(5), "format": FuncFormatter(lambda x, _: wording.short(x, largest))}
    bar = figure.colorbar(ScalarMappable(norm, value_colours()), ax=list(several), shrink=0.85, pad=0.02, **look)
    bar.set_label("score (return of an episode)")
    bar.outline.set_visible(False)


def _draw_map(axes: Axes, grid: Grid, means: np.ndarray, norm: Any) -> None:
    down, across = grid.parameters
    axes.imshow(means, cmap=value_colours(), norm=norm, origin="lower", aspect="auto", interpolation="nearest")
    for axis, values in ((axes.xaxis, grid.parameters[across]), (axes.yaxis, grid.parameters[down])):
        every = -(-len(values) // _MOST_NUMBERS)
        axis.set_ticks(range(0, len(values), every), [f"{value:g}" for value in values[::every]])
        axis.set_tick_params(length=0)
    axes.set_xlabel(across)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if max(means.shape) <= _MOST_NUMBERS:
        digits = digits_of(means)
        for (row, column), score in np.ndenumerate(means):
            ink = "#FFFFFF" if norm(score) > 0.6 else "#1A1A1A"
            axes.text(column, row, f"{score:.{digits}f}", ha="center", va="center", fontsize=8.5, color=ink)
    place = [_index(grid.parameters[name], grid.usual[name]) for name in (across, down)]
    if None not in place:
        from matplotlib.patches import Rectangle

        column, row = place
        corner = column - 0.5, row - 0.5  # type: ignore[operator]
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=PALETTE[1], linewidth=2, clip_on=False))


def _index(values: tuple[float, ...], value: float) -> int | None:
    """Where a value stands in the grid, if it does."""
    near = np.flatnonzero(np.isclose(values, value))
    return int(near[0]) if len(near) else None
