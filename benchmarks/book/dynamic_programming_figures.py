"""The figures of the dynamic programming section, drawn like the book's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bellmax.mdp import MDP
from bellmax.mdp.drawing import ARROWS, WALL, marks_of
from bellmax.report.canvas import PALETTE, STYLE, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = {"←": (-1, 0), "↓": (0, 1), "→": (1, 0), "↑": (0, -1)}


def grid_values(
    model: MDP, values: np.ndarray, optimal_actions: np.ndarray, title: str, path: Path, digits: int = 3
) -> None:
    """A heat map of values with the best actions as arrows."""
    import matplotlib

    assert model.grid is not None
    with matplotlib.rc_context(STYLE):
        rows, columns = model.grid
        side = 1.05 if columns <= 5 else 0.95
        figure = new_figure(False, (columns * side + 1.6, rows * side + 0.7))
        axes = figure.subplots()
        marks = marks_of(model)
        shown = np.array([np.nan if state in marks else value for state, value in enumerate(values)])
        image = axes.imshow(shown.reshape(rows, columns), cmap="viridis")
        image.cmap.set_bad("0.9")
        bright = image.norm(values) > 0.6
        for state in range(model.states):
            cell = state % columns, state // columns
            if state in marks:
                axes.text(
                    *cell, {"*": "goal", "x": "hole", WALL: ""}[marks[state]], ha="center", va="center", color="0.3"
                )
                continue
            ink = "black" if bright[state] else "white"
            axes.text(
                cell[0], cell[1] + 0.36, f"{values[state]:.{digits}f}", ha="center", va="center", color=ink, fontsize=9
            )
            names = [ARROWS[model.action_names[action]] for action in np.flatnonzero(optimal_actions[state])]
            _arrows(axes, cell, [STEPS[name] for name in names], ink)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_title(title, fontsize=11)
        figure.colorbar(image, label="value", shrink=0.85)
        save(figure, path)


def _arrows(axes: Axes, cell: tuple[int, int], steps: Sequence[tuple[int, int]], ink: str) -> None:
    look = {"arrowstyle": "-|>,head_width=0.18,head_length=0.3", "color": ink, "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
    x, y = cell[0], cell[1] - 0.1
    back = 1 if len(steps) == 1 else 0  # a single arrow stands in the middle
    for right, down in steps:
        tail = x - 0.26 * right * back, y - 0.22 * down * back
        axes.annotate("", (x + 0.3 * right, y + 0.24 * down), tail, arrowprops=look)


def gambler(curves: Mapping[str, np.ndarray], stakes: np.ndarray, optimal_actions: np.ndarray, path: Path) -> None:
    """Figure 4.3: values after some sweeps of value iteration, and the best stakes."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure = new_figure(False, (8, 8))
        above, below = figure.subplots(2, 1, sharex=True)
        for place, (name, values) in enumerate(curves.items()):
            look = {"color": PALETTE[place], "lw": 1.3}
            if name == "final":
                look = {"color": "0.8", "lw": 6, "zorder": 0}  # behind the sweep that has all but reached it
            above.plot(np.arange(1, 100), values[1:-1], label=name, **look)
        above.set(ylabel="value estimate", title="Gambler's problem, heads with probability 0.4")
        above.legend(title="value iteration", frameon=False)
        capital, action = np.nonzero(optimal_actions[1:-1])
        below.plot(capital + 1, action + 1, ".", ms=4, color="0.75", label="every best stake")
        below.step(np.arange(1, 100), stakes[1:-1], where="mid", color=PALETTE[0], label="the least of them")
        below.set(xlabel="capital", ylabel="final policy (stake)", xticks=[1, 25, 50, 75, 99], ylim=(0, 55))
        below.legend(frameon=False)
        save(figure, path)


def car_rental(policies: Sequence[np.ndarray], values: np.ndarray, path: Path) -> None:
    """Figure 4.2: the policies of policy iteration, and the values of the last."""
    import matplotlib
    from matplotlib.colors import BoundaryNorm

    with matplotlib.rc_context(STYLE):
        figure = new_figure(False, (10, 6.6))
        places = figure.subplots(2, 3).ravel()
        norm = BoundaryNorm(np.arange(-5.5, 6), 256)
        for index, (axes, policy) in enumerate(zip(places, policies)):
            image = axes.imshow(policy, origin="lower", cmap="RdBu", norm=norm)
            _contours(axes, policy)
            axes.set_title(f"policy {index}", fontsize=11)
        bar = figure.colorbar(image, ax=places[:3], ticks=range(-5, 6), shrink=0.9)
        bar.set_label("cars moved from first to second")
        last = places[min(len(policies), 5)]
        worth = last.imshow(values, origin="lower", cmap="viridis")
        last.set_title(f"value of policy {len(policies) - 1}", fontsize=11)
        figure.colorbar(worth, ax=places[3:], shrink=0.9, label="value")
        for axes in places:
            axes.set(xticks=[0, 10, 20], yticks=[0, 10, 20])
        figure.supxlabel("cars at the second place", fontsize=11)
        figure.supylabel("cars at the first place", fontsize=11)
        figure.suptitle("Jack's car rental: policy iteration")
        save(figure, path)


def _contours(axes: Axes, policy: np.ndarray) -> None:
    """A number in the middle of each region."""
    for moved in np.unique(policy):
        rows, columns = np.nonzero(policy == moved)
        middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
        ink = "white" if abs(moved) >= 4 else "black"
        axes.text(columns[middle], rows[middle], f"{moved}", ha="center", va="center", fontsize=8, color=ink)
