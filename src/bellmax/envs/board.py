"""A board with stones of two sides, in letters and as a picture."""

from __future__ import annotations

import numpy as np

from bellmax.envs.picture import box, canvas, disc, paint

LETTERS = {1: "X", -1: "O", 0: "."}
WOOD, LINE, BLACK, WHITE = (214, 170, 110), (120, 90, 50), (25, 25, 25), (240, 240, 235)
CELL = 32  # pixels


def text(stones: np.ndarray) -> str:
    """stones: [height, width] of 1 (who began), -1 (the other) and 0 -> a line of letters for each row."""
    return "\n".join(" ".join(LETTERS[int(stone)] for stone in row) for row in stones)


def picture(stones: np.ndarray) -> np.ndarray:
    """The same as uint8 [height, width, 3]; who began is black."""
    image = canvas(CELL * len(stones), CELL * len(stones[0]), WOOD)
    for place, stone in np.ndenumerate(stones):
        centre = CELL * (place[0] + 0.5), CELL * (place[1] + 0.5)
        paint(image, np.abs(box(image, centre, CELL, CELL)) - 0.5, LINE)
        if stone:
            paint(image, disc(image, centre, 0.4 * CELL), BLACK if stone > 0 else WHITE)
    return image
