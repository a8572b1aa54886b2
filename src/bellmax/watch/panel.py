"""Curves of what happened beside what was imagined, as a picture that grows step by step."""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.report.canvas import GREY, PALETTE, STYLE
from bellmax.spaces import Tree
from bellmax.watch.foresight import Stretch, as_numbers

MOST = 6  # numbers of an observation that are drawn: those that move most


class Panel:
    """The numbers of a stretch that move most, and its rewards; real ones as lines, imagined ones dashed."""

    def __init__(self, stretch: Stretch, space: Tree, size: tuple[int, int]):
        """`size`: width and height in pixels."""
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._context = stretch.context
        with matplotlib.rc_context({**STYLE, "font.size": 9}):
            figure = Figure((size[0] / 100, size[1] / 100), dpi=100, layout="constrained")
            self._canvas = FigureCanvasAgg(figure)
            curves = _curves(stretch, space)
            columns = 1 if len(curves) <= 4 else 2
            rows = -(-len(curves) // columns)
            grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
            places = grid.T.ravel()
            self._lines = [self._begun(*both) for both in zip(places, curves)]
            figure.align_ylabels(grid)
            for place in places[len(curves) :]:
                place.set_visible(False)
            for column in range(columns):
                places[min((column + 1) * rows, len(curves)) - 1].set_xlabel("step")
            places[0].legend(loc="best", fontsize=8, frameon=False, ncols=2)

    def _begun(self, axes: Any, curve: tuple[str, np.ndarray, np.ndarray]) -> Any:
        name, real, said = curve
        steps, ahead = np.arange(len(real)), self._context + np.arange(len(said))
        axes.set(xlim=(0, len(real) - 1), ylim=limits(real, said))
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.yaxis.set_major_locator(_ticks(3))
        axes.xaxis.set_major_locator(_ticks(6))
        axes.axvline(self._context, color=GREY, linestyle=":", linewidth=1)
        lines = axes.plot([], [], color=PALETTE[0], linewidth=1.8, label="real")
        lines += axes.plot([], [], color=PALETTE[1], linewidth=1.8, linestyle="--", label="imagined")
        return (lines[0], steps, real), (lines[1], ahead, said)

    def at(self, step: int) -> np.ndarray:
        """The picture when `step` steps of the stretch were taken: uint8 [height, width, 3]."""
        for pair in self._lines:
            for line, steps, values in pair:
                shown = steps <= step
                line.set_data(steps[shown], values[shown])
        self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()


def limits(real: np.ndarray, said: np.ndarray) -> tuple[float, float]:
    """From where to where an axis goes: what is far off, or not finite, leaves it, so that what is real can be seen."""
    low, high = float(np.nanmin(real)), float(np.nanmax(real))
    span = high - low or max(abs(high), 1.0)
    near = np.clip(np.nan_to_num(said, nan=low), low - span, high + span)
    low, high = min(low, float(near.min())), max(high, float(near.max()))
    margin = 0.08 * (high - low) or 0.05 * span
    return low - margin, high + margin


def _curves(stretch: Stretch, space: Tree) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """What is drawn: its name, what happened at every moment, what was imagined from the last look on."""
    curves, foreseen, now = [], stretch.foreseen, stretch.context
    if foreseen.obs is not None:
        import jax

        real = as_numbers(space, jax.tree.map(lambda *x: np.stack(x), *(moment.obs for moment in stretch.moments)))
        said = np.concatenate([real[now : now + 1], as_numbers(space, foreseen.obs)])
        moving = np.sort(np.argsort(-np.ptp(real, 0), kind="stable")[:MOST])
        curves += [(f"obs {i}", real[:, i], said[:, i]) for i in moving]
    paid = [np.nan if moment.outcome is None else float(moment.outcome.reward) for moment in stretch.moments]
    rewards = np.array(paid)
    return [*curves, ("reward", rewards, np.concatenate([rewards[now : now + 1], foreseen.reward]))]


def _ticks(most: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most)
