"""The curves that a plot draws: one for each label, over all its seeds."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bellmax.report.curves import Rows, curve, seeds_of
from bellmax.report.sources import Source
from bellmax.report.statistics import bootstrap_band, iqm

_POINTS = 300  # a line needs no more, and the bootstrap pays for each
_NOT_METRICS = ("seed", "step", "time", "greedy", "scores", "lengths")


class Group(NamedTuple):
    """One line of a plot. NaN where nothing is known."""

    label: str
    steps: np.ndarray  # [n]
    values: np.ndarray  # [seed, n]
    middle: np.ndarray  # [n]: inter-quartile mean over seeds, where all of them have a value
    partial: np.ndarray  # [n]: the same over those that have one
    low: np.ndarray  # [n]: the ends of the 95 % band
    high: np.ndarray  # [n]
    window: float  # steps averaged over
    evaluated: bool  # of evaluations, not of training


def group_all(sources: Sequence[Source], labels: Sequence[str], metric: str, smooth: float | None) -> list[Group]:
    """Runs with the same label are one group: their seeds are pooled. Raises ValueError for an unknown metric."""
    rows = [source.evaluations if metric == "evaluation" else source.rows for source in sources]
    _check(metric, rows)
    together: dict[str, list[Rows]] = {}
    for label, of in zip(labels, rows):
        together.setdefault(label, []).append(of)
    return [_group(label, of, "mean" if metric == "evaluation" else metric, smooth) for label, of in together.items()]


def _group(label: str, runs: Sequence[Rows], metric: str, smooth: float | None) -> Group:
    grid = _grid(runs)
    window = _window(runs, metric, grid) if smooth is None else smooth
    found = [curve(rows, metric, grid, window)[1] for rows in runs]
    values = np.concatenate([*found, np.empty((0, len(grid)))])
    if values.size:
        lines = iqm(values, 0), iqm(values, 0, skip_nan=True), *bootstrap_band(values)
    else:
        lines = (np.full(len(grid), np.nan),) * 4
    return Group(label, grid, values, *lines, window, metric == "mean")


def _grid(runs: Sequence[Rows]) -> np.ndarray:
    """Every step that has a row, or evenly spread ones if they are too many."""
    steps = np.unique([row["step"] for rows in runs for row in rows])
    return steps if len(steps) <= _POINTS else np.linspace(steps[0], steps[-1], _POINTS)


def _window(runs: Sequence[Rows], metric: str, grid: np.ndarray) -> float:
    """2 % of the steps for metrics logged so often that their noise hides the curve; nothing for evaluations."""
    rows, seeds = sum(map(len, runs)), sum(len(seeds_of(of)) for of in runs)
    return 0.0 if metric == "mean" or rows <= 100 * seeds else _round(0.02 * grid[-1])


def _round(x: float) -> float:
    """To one digit, as a reader likes it: 2,048 -> 2,000."""
    return float(f"{x:.0e}")


def _check(metric: str, runs: Sequence[Rows]) -> None:
    if metric == "evaluation":
        if not any(runs):
            raise ValueError("metric = 'evaluation': these runs have no evaluations; train with evaluate_every=...")
        return
    known = {name: None for rows in runs for row in rows for name in row if name not in _NOT_METRICS}
    if metric not in known and any(runs):
        near = difflib.get_close_matches(metric, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from evaluation, {', '.join(known)}."
        raise ValueError(f"metric = {metric!r}: no row has it; {hint}")


def title_of(sources: Sequence[Source], labels: Sequence[str]) -> str:
    """What all lines have in common: the environment, and the name of the only line."""
    environments = {source.environment for source in sources}
    environment = environments.pop() if len(environments) == 1 else ""
    only = labels[0] if len(set(labels)) == 1 and labels[0] != "run" else ""
    return " on ".join(filter(None, [only, environment if environment not in only else ""]))
