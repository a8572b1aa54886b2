"""The mazes of Sutton & Barto's chapter 8, drawn for `GridWorld` (http://incompleteideas.net/book/the-book-2nd.html).

All pay 1 at the goal and nothing else, and have no time limit that matters.
"""

from __future__ import annotations

from typing import Any

from bellmax.envs.grid import Layout
from bellmax.envs.grid_world import GridWorld

DYNA: Layout = (  # figure 8.2; the shortest way has 14 steps
    ".......#G",
    "..#....#.",
    "S.#....#.",
    "..#......",
    ".....#...",
    ".........",
)
OPEN_RIGHT: Layout = (  # figure 8.4: a short way on the right
    "........G",
    ".........",
    ".........",
    "########.",
    ".........",
    "...S.....",
)
OPEN_LEFT: Layout = (*OPEN_RIGHT[:3], ".########", *OPEN_RIGHT[4:])  # a long way on the left
OPEN_BOTH: Layout = (*OPEN_RIGHT[:3], ".#######.", *OPEN_RIGHT[4:])  # figure 8.5: both

NO_LIMIT = 2**31 - 1


def dyna_maze(scale: int = 1, **fields: Any) -> GridWorld:
    """Example 8.1: 6 x 9 cells with walls; each is cut into `scale` x `scale` smaller ones, as for Example 8.4."""
    return maze(enlarged(DYNA, scale), **fields)


def blocking_maze(blocked: bool = False, **fields: Any) -> GridWorld:
    """Example 8.2: the short way, on the right, or once it is blocked the long one, on the left."""
    return maze(OPEN_LEFT if blocked else OPEN_RIGHT, **fields)


def shortcut_maze(opened: bool = False, **fields: Any) -> GridWorld:
    """Example 8.3: the long way, on the left, or once it is opened the short one, on the right, as well."""
    return maze(OPEN_BOTH if opened else OPEN_LEFT, **fields)


def maze(layout: Layout, **fields: Any) -> GridWorld:
    """A `GridWorld` that pays 1 at the goal and nothing else; fields as there."""
    return GridWorld(layout=layout, **{"max_steps": NO_LIMIT, **fields})


def enlarged(layout: Layout, scale: int) -> Layout:
    """Every cell cut into `scale` x `scale`; an S stays one cell, the top left one. Raises ValueError below 1."""
    if scale < 1:
        raise ValueError(f"scale = {scale}: give a whole number of at least 1.")
    rows = []
    for row in layout:
        first = "".join(letter + ("." if letter == "S" else letter) * (scale - 1) for letter in row)
        rows += [first] + ["".join(letter * scale for letter in row.replace("S", "."))] * (scale - 1)
    return tuple(rows)
