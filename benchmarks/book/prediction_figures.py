"""The figures of the prediction section, drawn like the book's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bellmax.report.canvas import PALETTE, STYLE, new_figure, save


def sheet(columns: int = 1, rows: int = 1, size: tuple[float, float] = (8, 5)) -> tuple[Figure, list[Axes]]:
    """A figure with axes on it, row by row."""
    figure = new_figure(False, size)
    return figure, list(np.ravel(figure.subplots(rows, columns)))


def random_walk(curves: Mapping[str, np.ndarray], v: np.ndarray, truth: np.ndarray, path: Path) -> None:
    """Example 6.2: V of one run, and the RMS errors of TD and MC."""
    with matplotlib.rc_context(STYLE):
        figure, (left, right) = sheet(2, size=(11, 4.8))
        left.plot(truth, color="0.2", lw=2.5, label="true values")
        for colour, episodes in zip(PALETTE, (0, 1, 10, 100)):
            left.plot(
                v[episodes], "o-", color=colour, ms=4, label=f"{episodes} episodes" if episodes != 1 else "1 episode"
            )
        left.set(title="V of one run of TD(0), α = 0.1", xlabel="state", ylabel="estimated value", xticks=range(5))
        left.set_xticklabels("ABCDE")
        left.legend(frameon=False)
        for name, curve in curves.items():
            kind, alpha = name.split()
            style = {"TD": ("-", PALETTE[0]), "MC": ("--", PALETTE[1])}[kind]
            place = [x for x in curves if x.startswith(kind)].index(name)
            right.plot(curve, style[0], color=style[1], alpha=1 - 0.22 * place, label=f"{kind}, α = {alpha}")
            if name == "TD 0.15":
                right.plot([], " ", label=" ")  # MC has the legend's second column to itself
        right.set(
            title="RMS error, mean over states and 100 runs", xlabel="episodes", ylabel="RMS error", ylim=(0, 0.25)
        )
        right.legend(frameon=False, ncols=2, loc="upper right")
        save(figure, path)


def batch(curves: Mapping[str, np.ndarray], path: Path) -> None:
    """Figure 6.2."""
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = sheet()
        for colour, (name, curve) in zip(PALETTE, curves.items()):
            axes.plot(np.arange(1, len(curve) + 1), curve, color=colour, label=f"batch {name}")
        axes.set(title="Batch training on the 5-state random walk", xlabel="episodes", ylim=(0, 0.25), xlim=(0, 100))
        axes.set(ylabel="RMS error, mean over states and 100 runs")
        axes.legend(frameon=False)
        save(figure, path)


def step_sizes(
    curves: Mapping[str, np.ndarray], alphas: Sequence[float], symbol: str, title: str, start: float, path: Path
) -> None:
    """Figures 7.2, 12.3, 12.6 and 12.8: errors over step sizes, a curve for each n or lambda."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.93, len(curves)))
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = sheet()
        for shade, (name, curve) in zip(shades, curves.items()):
            axes.plot([0, *alphas], [start, *np.where(curve < 1, curve, np.nan)], ".-", color=shade,
                      label=f"{symbol} = {name}")  # fmt: skip
        axes.set(title=title, xlabel="α", xlim=(0, 1), ylim=(0.22, 0.6))
        axes.set_ylabel("RMS error, mean over 19 states,\n10 episodes and 100 runs")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        save(figure, path)


def one_hand(curves: Mapping[str, np.ndarray], counts: np.ndarray, path: Path) -> None:
    """Figure 5.3."""
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = sheet()
        for colour, (name, curve) in zip(PALETTE, curves.items()):
            axes.plot(counts, curve, color=colour, label=name)
        axes.set(
            title="Off-policy value of one blackjack hand", xscale="log", xlabel="episodes (log scale)", ylim=(-0.1, 4)
        )
        axes.set_ylabel("mean squared error over 100 runs")
        axes.legend(frameon=False)
        save(figure, path)


def loop(curves: Mapping[str, np.ndarray], counts: np.ndarray, path: Path) -> None:
    """Figure 5.4."""
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = sheet()
        for (name, runs), style in zip(
            curves.items(), ({"color": PALETTE[0], "lw": 1}, {"color": PALETTE[1], "lw": 2.5})
        ):
            for place, run in enumerate(runs):
                seen = np.maximum.accumulate(run != 0)  # before the first episode that pi could have made there is none
                axes.plot(counts, np.where(seen, run, np.nan), **style, label=name if place == 0 else None)
        axes.set(
            title="Ordinary importance sampling with infinite variance", xscale="log", xlabel="episodes (log scale)"
        )
        axes.set(ylabel="estimate of the value, which is 1, in 10 runs", ylim=(0, 3))
        axes.legend(frameon=False)
        save(figure, path)


def blackjack(tables: Sequence[np.ndarray], episodes: Sequence[int], path: Path) -> None:
    """Figure 5.1: V over the player's sum (12 to 21) and the dealer's card, with and without a usable ace."""
    x, y = np.meshgrid(np.arange(1, 11), np.arange(12, 22))
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        figure = new_figure(False, (9, 8))
        for place, (ace, column) in enumerate((ace, column) for ace in (1, 0) for column in range(len(tables))):
            axes = figure.add_subplot(2, len(tables), place + 1, projection="3d")
            axes.plot_surface(
                x, y, tables[column][12:22, 1:, ace], cmap="viridis", vmin=-1, vmax=1, edgecolor="0.3", lw=0.3
            )
            axes.set(zlim=(-1, 1), zticks=(-1, 0, 1), xticks=(1, 4, 7, 10), yticks=(12, 15, 18, 21))
            axes.set(xlabel="dealer showing", ylabel="player sum")
            axes.set_title(f"{episodes[column]:,} episodes, {'' if ace else 'no '}usable ace", fontsize=11)
        figure.suptitle("Blackjack: the value of sticking on 20 and 21 only")
        save(figure, path)
