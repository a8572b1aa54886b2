"""Learning curves: the inter-quartile mean over seeds with its bootstrap band. matplotlib is imported on drawing."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bellmax.report import wording
from bellmax.report.canvas import GREY, STYLE, look_of, new_figure, save
from bellmax.report.groups import Group, group_all, title_of
from bellmax.report.margin import Note, write_in_margin
from bellmax.report.sources import Run, name_all, read_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEWER = (0, (2.5, 1.5))  # the dashes where some seeds have no value
_MOST_SEEDS = 9  # more are not drawn by themselves
_MOST_GROUPS = 4  # nor are those of more groups: the curves would be lost among them
_MOST_MARKED = {False: 2, True: 30}  # points of training, of evaluations, that a marker each makes clearer
_UNITS = {"score": "score (return of an episode)", "evaluation": "evaluation score (return of an episode)"}


def plot(
    runs: Run | Sequence[Run],
    path: str | Path | None = None,
    metric: str = "score",
    labels: Sequence[str] | None = None,
    smooth: float | None = None,
    references: Mapping[str, float] | None = None,
    title: str | None = None,
) -> Path | Figure:
    """Learning curves of one or several runs -> the file written, or the figure if there is no path.

    A line is the inter-quartile mean over a run's seeds, dashed where some of them have no value; the band is its 95 %
    bootstrap interval. Fewer than ten seeds are drawn by themselves too, thin.

    runs        run folders, their paths, `Run`s or lists of rows
    path        .png (150 dots per inch; added if it is no suffix of a picture), .svg, .pdf or .jpg; missing folders
                are made
    metric      a key of the rows, or "evaluation"
    labels      one for each run; runs with the same label are one curve. By default what tells them apart
    smooth      average over the last so many environment steps; 0 for none, None to choose by how often rows were
                written. The figure says how many
    references  horizontal lines to compare with, such as {"published": 500}

    Raises RunFolderError for what is no run or cannot be written, ValueError for an unknown metric.
    """
    sources = read_all(runs)
    names = name_all(sources, labels)
    groups = group_all(sources, names, metric, smooth)
    text = title_of(sources, names) if title is None else title
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure = new_figure(on_screen=path is None)
        _draw(figure, groups, metric, references or {}, text)
        return figure if path is None else save(figure, Path(path))


def _draw(figure: Figure, groups: Sequence[Group], metric: str, references: Mapping[str, float], title: str) -> None:
    axes = figure.subplots()
    notes = [_draw_group(axes, group, place, len(groups)) for place, group in enumerate(groups)]
    if len({len(group.values) for group in groups}) > 1:  # otherwise the caption says it for all
        notes = [note._replace(text=f"{note.text} ({_seeds(group)})") for note, group in zip(notes, groups)]
    for name, value in references.items():
        line = axes.axhline(value, color=GREY, linestyle=":", linewidth=1.4, zorder=1.5)
        notes.append(Note(f"{name} ({wording.short(value)})", value, math.inf, GREY, line))
    _finish_axes(axes, groups, metric)
    axes.set_title(textwrap.fill(title, 70), loc="left", fontsize=13, pad=10)
    figure.supxlabel(textwrap.fill(_caption(groups), 118), fontsize=9, color=GREY, x=0.01, ha="left")
    if len(notes) > 1:
        write_in_margin(axes, notes)
    if not any(_known(group).any() for group in groups):
        axes.set_yticks([])
        words = "no episode has ended yet" if metric == "score" else "no values yet"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=GREY)


def _draw_group(axes: Axes, group: Group, place: int, groups: int) -> Note:
    color, style = look_of(place).values()
    seeds, few = len(group.values), groups <= _MOST_GROUPS
    if 1 < seeds <= _MOST_SEEDS and few:
        axes.plot(group.steps, group.values.T, color=color, linewidth=0.8, alpha=0.3, gid="seed")
    axes.fill_between(group.steps, group.low, group.high, color=color, alpha=0.18 if few else 0.1, linewidth=0)
    if _has_gaps(group):
        axes.plot(group.steps, group.partial, linestyle=_FEWER, color=color, linewidth=1.3, gid="some seeds")
    marker = "o" if np.isfinite(group.middle).sum() <= _MOST_MARKED[group.evaluated] else ""
    look = {"color": color, "linestyle": style, "linewidth": 2, "marker": marker, "markersize": 4}
    (line,) = axes.plot(group.steps, group.middle, label=group.label, **look)
    known = np.flatnonzero(_known(group))
    end, height = (group.steps[known[-1]], group.partial[known[-1]]) if len(known) else (np.nan, np.nan)
    return Note(group.label, height, end, color, line)


def _seeds(group: Group) -> str:
    return "1 seed" if len(group.values) == 1 else f"{len(group.values)} seeds"


def _known(group: Group) -> np.ndarray:
    return np.isfinite(group.partial)


def _has_gaps(group: Group) -> bool:
    """Does the line end, or not begin, where some seeds go on?"""
    return bool(np.isnan(group.middle[_known(group)]).any())


def _finish_axes(axes: Axes, groups: Sequence[Group], metric: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlabel("environment steps")
    axes.set_ylabel(_UNITS.get(metric, metric.replace("_", " ")))
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    last = max([1, *(group.steps[-1] for group in groups if len(group.steps))])
    axes.set_xlim(0, last * 1.015)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    for axis, ends in ((axes.xaxis, axes.get_xlim), (axes.yaxis, axes.get_ylim)):
        axis.set_major_formatter(FuncFormatter(lambda x, _, ends=ends: wording.short(x, max(map(abs, ends())))))


def _caption(groups: Sequence[Group]) -> str:
    counts = {len(group.values) for group in groups}
    said = ["One seed each." if len(groups) > 1 else "One seed."] if counts == {1} else []
    if max(counts) > 1:
        many = f"{counts.pop()} seeds" if len(counts) == 1 else "seeds"
        said = [f"Line: inter-quartile mean over {many}; band: its 95 % bootstrap interval."]
    if any(map(_has_gaps, groups)):
        said.append("Dashed: only the seeds that have a value.")
    windows = {group.window for group in groups}
    if max(windows) > 0:
        upto = "" if len(windows) == 1 else "up to "
        said.append(f"Values are means over {upto}the last {wording.short(max(windows))} steps.")
    return " ".join(said)
