"""What scores say about an algorithm, and how sure they are. Seeds are the replication unit; episodes are not.

Agarwal et al., 2021, Deep reinforcement learning at the edge of the statistical precipice,
https://arxiv.org/abs/2108.13264: the inter-quartile mean, its stratified bootstrap interval, the probability of
improvement. NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Statistic = Callable[..., Any]  # statistic(x, axis=i) takes the axis away, as np.mean and np.median do
_MOST_NUMBERS = 4_000_000  # resampled at once: 32 MB


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


def iqm(x: ArrayLike, axis: int | None = None, skip_nan: bool = False) -> Any:
    """Inter-quartile mean: the mean of what is left without the lowest and the highest quarter.

    As in the paper's code, `scipy.stats.trim_mean(x, 0.25)`: of n scores, int(n / 4) are cut at either end, so that
    fewer than four keep their plain mean.

    axis      the axis to take away; None takes all scores together
    skip_nan  leave NaN out, and give NaN only where nothing else is left; otherwise one NaN makes the answer NaN
    """
    x = np.asarray(x, float)
    x, axis = (x.ravel(), 0) if axis is None else (x, axis)
    if x.shape[axis] == 0:
        raise ValueError(f"iqm of no scores (shape {x.shape}, axis {axis}): give at least one.")
    ordered = np.sort(np.moveaxis(x, axis, -1), axis=-1)  # NaN comes last
    known = (~np.isnan(ordered)).sum(-1, keepdims=True)
    place, cut = np.arange(x.shape[axis]), known // 4
    kept = (place >= cut) & (place < known - cut)
    mean = np.where(kept, ordered, 0.0).sum(-1) / np.maximum(kept.sum(-1), 1)
    sound = known[..., 0] > 0 if skip_nan else known[..., 0] == x.shape[axis]
    return np.where(sound, mean, np.nan)[()]


def bootstrap_interval(
    scores: ArrayLike, statistic: Statistic = iqm, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval of a statistic over seeds, stratified over tasks.

    scores     [seed] or [seed, task]: seeds are drawn with replacement in every task by itself, as in the paper
    statistic  statistic(x [resample, score], axis=1) -> [resample]; such as iqm, np.mean, np.median
    level      how often the interval should hold the true value. With few seeds it does so less often: for normal
               scores of one task and 0.95, 0.74 of the time with 3 seeds, 0.90 with 5, 0.94 with 10 or more

    NaN at both ends for a single seed, which says nothing about others, and where a score is NaN.
    """
    table = _per_task(scores, "scores")
    _check(level, resamples)
    if len(table) < 2 or np.isnan(table).any():
        return Interval(np.nan, np.nan)
    rng, found = np.random.default_rng(seed), []
    for count in _portions(resamples, table.size):
        drawn = rng.integers(len(table), size=(count, *table.shape))
        found.append(statistic(np.take_along_axis(table[None], drawn, 1).reshape(count, -1), axis=1))
    low, high = np.quantile(np.concatenate(found), _ends(level))
    return Interval(float(low), float(high))


def bootstrap_band(
    values: ArrayLike, statistic: Statistic = iqm, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The bootstrap interval at each point of curves [seed, point] -> low [point], high [point].

    Whole curves are drawn, so that a band is as smooth as they are. The band is pointwise. NaN where a seed is NaN,
    and everywhere for a single seed.
    """
    values = np.asarray(values, float)
    if values.ndim != 2:
        raise ValueError(f"values has shape {values.shape}: give curves [seed, point].")
    _check(level, resamples)
    seeds, points = values.shape
    ends = np.full((2, points), np.nan)
    known = np.flatnonzero(~np.isnan(values).any(0)) if seeds > 1 else np.array([], int)
    drawn = np.random.default_rng(seed).integers(max(seeds, 1), size=(resamples, seeds))
    begin = 0
    for count in _portions(len(known), drawn.size):
        part = known[begin : begin + count]
        ends[:, part] = np.quantile(statistic(values[:, part][drawn], axis=1), _ends(level), axis=0)
        begin += count
    return ends[0], ends[1]


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> float:
    """P(X > Y): how often a random seed of x scores higher than a random seed of y, ties counting half.

    x [seed] or [seed, task], y likewise with as many tasks, seeds of its own; the mean over tasks. The
    Mann-Whitney U statistic over the number of pairs; eq. 2 of the paper. NaN if a score is NaN.
    """
    first, second = _per_task(x, "x"), _per_task(y, "y")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"x has {first.shape[1]} tasks and y {second.shape[1]}: give the same tasks.")
    if np.isnan(first).any() or np.isnan(second).any():
        return float("nan")
    won = np.sign(first[:, None] - second[None])  # -1, 0 or 1: [seed of x, seed of y, task]
    return float((won.mean() + 1) / 2)


def permutation_p_value(x: ArrayLike, y: ArrayLike, resamples: int = 10_000, seed: int = 0) -> float:
    """How often a probability of improvement as far from 1/2 as this comes up where x and y [seed] do not differ.

    Two-sided, by shuffling which scores are whose; (1 + as extreme) / (1 + resamples), which is never 0 (Phipson &
    Smyth, 2010). Unlike the bootstrap it does not claim more than a few seeds can show: three against three never
    give less than 0.1. NaN if a score is NaN.
    """
    x, y = np.asarray(x, float).ravel(), np.asarray(y, float).ravel()
    pooled = np.concatenate([x, y])
    if len(x) == 0 or len(y) == 0:
        raise ValueError(f"x has {len(x)} scores and y {len(y)}: give at least one each.")
    if np.isnan(pooled).any():
        return float("nan")
    _, place, count = np.unique(pooled, return_inverse=True, return_counts=True)
    rank = 2 * np.cumsum(count)[place] - count[place]  # twice the mid-rank, in whole numbers: comparing is exact
    middle = len(x) * len(pooled)  # what the ranks of x add up to, if x and y do not differ
    distance, extreme = abs(rank[: len(x)].sum() - middle), 0
    rng = np.random.default_rng(seed)
    for portion in _portions(resamples, len(rank)):
        shuffled = rng.permuted(np.tile(rank, (portion, 1)), axis=1)
        extreme += int((np.abs(shuffled[:, : len(x)].sum(1) - middle) >= distance).sum())
    return (1 + extreme) / (1 + resamples)


def _per_task(scores: ArrayLike, name: str) -> np.ndarray:
    """[seed] or [seed, task] -> [seed, task]."""
    table = np.asarray(scores, float)
    if table.ndim not in (1, 2) or table.size == 0:
        raise ValueError(f"{name} has shape {table.shape}: give at least one score, [seed] or [seed, task].")
    return table.reshape(len(table), -1)


def _check(level: float, resamples: int) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level = {level!r}: it must be between 0 and 1, such as 0.95.")
    if resamples < 1:
        raise ValueError(f"resamples = {resamples!r}: it must be at least 1, such as 2000.")


def _ends(level: float) -> list[float]:
    return [(1 - level) / 2, (1 + level) / 2]


def _portions(total: int, size: int) -> Iterator[int]:
    """Cut `total` items of `size` numbers in counts that fit in memory together."""
    while total > 0:
        count = min(total, max(1, _MOST_NUMBERS // max(size, 1)))
        yield count
        total -= count
