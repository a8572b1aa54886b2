"""From rows of a run to numbers per seed: learning curves, final scores, steps to a threshold. NumPy alone.

A row is a dict with "seed" and "step" (environment steps), as runs write them; a row of training has "score" (None
where no episode ended) and "episodes", a row of evaluation has "mean".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Rows = Sequence[Mapping[str, Any]]
_PER_EPISODE = ("score", "length")  # means over the row's episodes


def seeds_of(rows: Rows) -> list[int]:
    """The seeds that have rows, in order. A row that names none is of seed 0."""
    return sorted({_seed(row) for row in rows})


def curve(
    rows: Rows, metric: str = "score", grid: ArrayLike | None = None, window: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Every seed's metric on one grid of steps -> steps [n], values [seed, n], seeds in order.

    grid    environment steps [n]; by default every step at which any seed has a row
    window  average over the rows of the last so many steps, scores and lengths weighted by episodes; 0: the last row

    A value is carried forward to the seed's next one. NaN before the seed's first value (no episode has ended yet)
    and where the seed was not trained so far: later than its last row by more than its rows are usually apart, since
    seeds that ended together may have counted a few steps more or less.
    """
    steps = np.unique([row["step"] for row in rows]) if grid is None else np.asarray(grid)
    values = [_on_grid(column, steps, window) for column in _columns(rows, metric).values()]
    return steps, np.array(values, float).reshape(len(values), len(steps))


def final_score(rows: Rows, metric: str = "score", part: float = 0.1) -> np.ndarray:
    """Each seed's mean over the last `part` of its training episodes -> [seed]; NaN where no episode ended.

    A row is the mean of its episodes and counts as many times; the row that the boundary cuts counts by what lies
    behind it. At least the last episode counts.
    """
    if not 0 < part <= 1:
        raise ValueError(f"part = {part!r}: it must be in (0, 1], such as 0.1.")
    scores = []
    for _, values, episodes, _ in _columns(rows, metric).values():
        wanted = max(1.0, part * episodes.sum())
        later = np.cumsum(episodes[::-1])[::-1] - episodes  # episodes of the rows behind each
        weight = np.clip(wanted - later, 0, episodes)
        scores.append((weight * values).sum() / weight.sum() if weight.any() else np.nan)
    return np.array(scores)


def steps_to_reach(
    rows: Rows, threshold: float, metric: str = "mean", seeds: Sequence[int] | None = None
) -> np.ndarray:
    """The first step at which each seed's evaluation reaches the threshold -> [seed]; inf where it never does.

    rows   of evaluations; "score" as `metric` takes rows of training
    seeds  those to report, in this order; by default those that have rows. One without rows never gets there.
    """
    columns = _columns(rows, metric)
    first = {seed: found.steps[found.values >= threshold].min(initial=np.inf) for seed, found in columns.items()}
    return np.array([first.get(seed, np.inf) for seed in (first if seeds is None else seeds)], float)


class _Columns(NamedTuple):
    """What one seed's rows know of a metric, by step; each [row]."""

    steps: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    end: float  # how far the last row speaks, whether it knows the metric or not


def _columns(rows: Rows, metric: str) -> dict[int, _Columns]:
    """By seed, in order."""
    table: dict[int, list[tuple[Any, ...]]] = {}
    for row in rows:
        weight = row.get("episodes", 1) or 0 if metric in _PER_EPISODE else 1
        table.setdefault(_seed(row), []).append((row["step"], _number(row.get(metric), metric), weight))
    return {seed: _sorted(np.array(table[seed], float).T) for seed in sorted(table)}


def _sorted(table: np.ndarray) -> _Columns:
    steps, values, weights = table
    known = np.flatnonzero(np.isfinite(values) & (weights > 0))
    order = known[np.argsort(steps[known], kind="stable")]
    gaps = np.diff(np.unique(steps))
    return _Columns(steps[order], values[order], weights[order], steps.max() + (np.median(gaps) if len(gaps) else 0))


def _seed(row: Mapping[str, Any]) -> int:
    return int(row.get("seed", 0))


def _number(value: Any, metric: str) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, str | Mapping | Sequence) or np.ndim(value) != 0:
        raise TypeError(f"metric = {metric!r}: a row holds {value!r} there; choose a metric that is one number.")
    return float(value)


def _on_grid(column: _Columns, grid: np.ndarray, window: float) -> np.ndarray:
    if len(column.steps) == 0:
        return np.full(len(grid), np.nan)
    values = _trailing_mean(column, window) if window > 0 else column.values
    row = np.searchsorted(column.steps, grid, side="right") - 1
    return np.where((row >= 0) & (grid <= column.end), values[row], np.nan)


def _trailing_mean(column: _Columns, window: float) -> np.ndarray:
    """At each row, the weighted mean of the rows whose steps lie in (step - window, step]."""
    steps, values, weights, _ = column
    begin = np.searchsorted(steps, steps - window, side="right")
    end = np.searchsorted(steps, steps, side="right")
    middle = values.mean()  # sums of what is left cancel less
    total = np.concatenate([[0.0], np.cumsum(weights * (values - middle))])
    count = np.concatenate([[0.0], np.cumsum(weights)])
    return middle + (total[end] - total[begin]) / (count[end] - count[begin])
