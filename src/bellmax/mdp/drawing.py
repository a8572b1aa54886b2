"""Values and policies as text for the terminal: the grid where there is one, a table where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bellmax.mdp.model import MDP

ARROWS = {
    "left": "←", "down": "↓", "right": "→", "up": "↑",
    "west": "←", "south": "↓", "east": "→", "north": "↑",
}  # fmt: skip
ORDER = "←↓→↑"
GOAL, OTHER_END, WALL = "*", "x", "#"
MOST = 50  # lines of a table, columns of a grid


def values_text(mdp: MDP, values: np.ndarray, digits: int = 3) -> str:
    """The value of every state [states] as text."""
    words = [f"{value:.{digits}f}" for value in np.asarray(values, float)]
    if _fits(mdp):
        return _lattice(mdp, words)
    return _columns([("state", map(str, range(mdp.states))), ("value", words)], mdp.states)


def policy_text(mdp: MDP, optimal_actions: np.ndarray) -> str:
    """The best actions, bool [states, actions], as text: arrows on a grid, several where several are best.

    Absorbing states are * where entering them pays most, x elsewhere, and # where nothing leads to them (a wall).
    """
    best, grid = np.asarray(optimal_actions, bool), _fits(mdp)
    marks = marks_of(mdp)
    words = [marks.get(state) or _actions(mdp, np.flatnonzero(best[state]), grid) for state in range(mdp.states)]
    if grid:
        return _lattice(mdp, words)
    return _columns([("state", map(str, range(mdp.states))), ("best actions", words)], mdp.states)


def map_text(mdp: MDP, agent: int) -> str:
    """The grid as text with the agent an `@`; without a grid, the number of the state."""
    if not _fits(mdp):
        return f"state {agent}"
    marks = marks_of(mdp)
    return _lattice(mdp, ["@" if state == agent else marks.get(state, ".") for state in range(mdp.states)])


def marks_of(mdp: MDP) -> dict[int, str]:
    """A letter for every absorbing state."""
    enters = (mdp.probability > 0) & mdp.absorbing[mdp.successor] & ~mdp.absorbing
    reward = np.broadcast_to(mdp.reward, mdp.probability.shape)[enters]
    pays = np.full(mdp.states, -np.inf)
    np.maximum.at(pays, mdp.successor[enters], reward)
    most = pays.max()
    letters = np.where(pays == -np.inf, WALL, np.where(pays == most, GOAL, OTHER_END))
    return {int(state): str(letters[state]) for state in np.flatnonzero(mdp.absorbing)}


def _actions(mdp: MDP, actions: np.ndarray, arrows: bool) -> str:
    names = [mdp.action_names[a] if mdp.action_names else str(a) for a in actions.tolist()]
    if arrows and all(name in ARROWS for name in names):
        return "".join(sorted((ARROWS[name] for name in names), key=ORDER.index))
    return (" " if max(map(len, names), default=0) == 1 else ", ").join(names) if not arrows else "/".join(names)


def _fits(mdp: MDP) -> bool:
    return mdp.grid is not None and mdp.grid[1] <= MOST


def _lattice(mdp: MDP, words: Sequence[str]) -> str:
    assert mdp.grid is not None
    rows, columns = mdp.grid
    width, lines = max(map(len, words)), []
    for row in range(rows):
        lines.append(" ".join(word.rjust(width) for word in words[row * columns : (row + 1) * columns]))
        if row + 1 == MOST < rows:
            lines.append(f"... {rows - MOST} more rows")
            break
    return "\n".join(lines)


def _columns(columns: Sequence[tuple[str, Iterable[str]]], rows: int) -> str:
    filled = [[title, *list(words)[:MOST]] for title, words in columns]
    widths = [max(map(len, column)) for column in filled]
    lines = ["  ".join(word.rjust(width) for word, width in zip(line, widths)) for line in zip(*filled)]
    return "\n".join([*lines, *([f"... {rows - MOST} more"] if rows > MOST else [])])
