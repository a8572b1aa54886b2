"""What worlds on a grid share: maps drawn in letters, the table of moves, slipping, text and pictures.

In a map `S` is a start, `.` and `F` are floor (`F` frozen), `#` is a wall, `G` the goal, and `T`, `H` and `C` are traps
(a hole, a cliff). Cells are numbered row by row from the top left.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Outcome
from bellmax.envs.picture import box, canvas, disc, paint, rod

Layout = tuple[str, ...]
Directions = tuple[tuple[int, int], ...]  # (row, column) steps; neighbours in the list are perpendicular

LEFT_DOWN_RIGHT_UP: Directions = ((0, -1), (1, 0), (0, 1), (-1, 0))
UP_RIGHT_DOWN_LEFT: Directions = ((-1, 0), (0, 1), (1, 0), (0, -1))
TRAPS = "THC"
STEP, GOAL, TRAP, STAY = range(4)  # kinds of move: onto floor, onto the goal, onto a trap, and none after the end


class GridState(NamedTuple):
    """Where the agent stands, and since when."""

    cell: Array  # int32
    time: Array  # int32, steps taken in this episode


class Moves(NamedTuple):
    """Where each direction leads from each cell; every table is [cells, 4]."""

    cell: np.ndarray  # int32, the cell entered
    kind: np.ndarray  # int32, STEP, GOAL, TRAP or STAY
    terminal: np.ndarray  # bool, whether the episode ends there


def check(owner: str, layout: Layout, letters: str) -> None:
    """Raise one clear error unless `layout` is a rectangle of `letters`."""
    if not layout or not layout[0]:
        raise ValueError(f"{owner}.layout = {layout!r}: give at least one row with at least one letter.")
    for row in layout:
        if len(row) != len(layout[0]):
            raise ValueError(
                f"{owner}.layout: row {row!r} has not the length of {layout[0]!r}; make all rows equally long."
            )
        for letter in row:
            if letter not in letters:
                raise ValueError(
                    f"{owner}.layout: {letter!r} in row {row!r} is no cell; use the letters {' '.join(letters)}."
                )


def letters(layout: Layout) -> np.ndarray:
    """The letter of each cell, [cells]."""
    return np.array(list("".join(layout)))


def find(layout: Layout, wanted: str) -> np.ndarray:
    """The cells that hold one of the letters in `wanted`, int32."""
    return np.flatnonzero(np.isin(letters(layout), list(wanted))).astype(np.int32)


@functools.lru_cache(maxsize=64)
def moves(layout: Layout, directions: Directions = LEFT_DOWN_RIGHT_UP) -> Moves:
    """The table of moves. Edges and walls stop the agent; a goal or a trap ends the episode and is never left."""
    tiles, shape = letters(layout), (len(layout), len(layout[0]))
    here = np.arange(len(tiles))[:, None]
    row, column = (axis.reshape(-1, 1) for axis in np.indices(shape))
    down, across = np.array(directions).T
    entered = np.clip(row + down, 0, shape[0] - 1) * shape[1] + np.clip(column + across, 0, shape[1] - 1)
    entered = np.where(tiles[entered] == "#", here, entered)
    over = np.isin(tiles, ["G", *TRAPS])[here]
    entered = np.where(over, here, entered)
    kind = np.select([over, tiles[entered] == "G", np.isin(tiles[entered], list(TRAPS))], [STAY, GOAL, TRAP], STEP)
    return Moves(entered.astype(np.int32), kind.astype(np.int32), kind != STEP)


def slipped(action: Array, uniform: Array, slip: Array | float) -> Array:
    """The direction really taken: with probability `slip` a perpendicular one; uniform: a draw in [0, 1)."""
    turn = jnp.where(uniform < slip / 2, -1, jnp.where(uniform < slip, 1, 0))
    return (jnp.asarray(action, jnp.int32) + turn) % 4


def move(
    table: Moves, cell: Array, direction: Array, step: Array | float, goal: Array | float, trap: Array | float
) -> tuple[Array, Array, Array]:
    """One move, paid `step`, `goal` or `trap` for the cell entered -> cell, reward, terminated."""
    entered, kind, terminal = (jnp.asarray(column)[cell, direction] for column in table)
    reward = jnp.where(kind == GOAL, goal, jnp.where(kind == TRAP, trap, jnp.where(kind == STEP, step, 0.0)))
    return entered, reward, terminal


def arrive(
    env_state: GridState, cell: Array, reward: Array, terminated: Array, max_steps: int | None
) -> tuple[GridState, Outcome]:
    """The state after a move, and its outcome: termination and the time limit (None: there is none) told apart."""
    time = env_state.time + 1
    last = terminated if max_steps is None else terminated | (time >= max_steps)
    reward, discount = jnp.asarray(reward, jnp.float32), 1 - terminated.astype(jnp.float32)
    return GridState(cell, time), Outcome(cell, reward, discount, last)


def text(layout: Layout, cell: Array) -> str:
    """The map as lines of text, the agent an `@`."""
    tiles = letters(layout)
    tiles[int(cell)] = "@"
    return "\n".join("".join(row) for row in tiles.reshape(len(layout), -1))


COLOURS = {
    "S": (253, 236, 200), ".": (250, 247, 240), "F": (222, 240, 250), "#": (74, 78, 92), "G": (122, 194, 132),
    "T": (226, 106, 96), "H": (44, 84, 130), "C": (150, 84, 64), "E": (168, 172, 184),
}  # fmt: skip
LINE, AGENT, RIM, LIGHT = (208, 210, 216), (242, 152, 46), (122, 68, 12), (255, 255, 255)


def picture(layout: Layout, cell: Array) -> np.ndarray:
    """The map as an image, uint8 [height, width, 3]: squares of 16 to 64 pixels, the agent an orange disc."""
    image, columns = _ground(layout).copy(), len(layout[0])
    side = image.shape[1] // columns
    square, middle = _square(image, int(cell), columns, side), (side / 2, side / 2)
    paint(square, disc(square, middle, 0.34 * side), RIM)
    paint(square, disc(square, middle, 0.34 * side - max(1.0, side / 24)), AGENT)
    paint(square, disc(square, (0.4 * side, 0.4 * side), 0.08 * side), LIGHT)
    return image


@functools.lru_cache(maxsize=4)
def _ground(layout: Layout) -> np.ndarray:
    """The picture without the agent."""
    rows, columns = len(layout), len(layout[0])
    side = int(np.clip(768 // max(rows, columns) // 16 * 16, 16, 64))
    image = canvas(rows * side, columns * side, LINE)
    for index, letter in enumerate("".join(layout)):
        _paint_tile(_square(image, index, columns, side), letter)
    return image


def _square(image: np.ndarray, cell: int, columns: int, side: int) -> np.ndarray:
    row, column = divmod(cell, columns)
    return image[row * side : (row + 1) * side, column * side : (column + 1) * side]


def _paint_tile(square: np.ndarray, letter: str) -> None:
    side = len(square)
    middle = (side / 2, side / 2)
    ground = COLOURS["F"] if letter == "H" else COLOURS[letter]
    paint(square, box(square, middle, side - 1, side - 1, side / 12), ground)
    if letter == "H":
        paint(square, disc(square, middle, 0.4 * side), COLOURS["H"])
    if letter == "G":
        paint(square, disc(square, middle, 0.26 * side), LIGHT)
        paint(square, disc(square, middle, 0.17 * side), ground)
    if letter == "T":
        near, far = 0.3 * side, 0.7 * side
        paint(square, rod(square, (near, near), (far, far), 0.05 * side), LIGHT)
        paint(square, rod(square, (near, far), (far, near), 0.05 * side), LIGHT)
