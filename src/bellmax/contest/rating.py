"""How strong players are, from who beat whom (Elo, 1978; Bradley & Terry, 1952, https://doi.org/10.2307/2334029)."""

from __future__ import annotations

import numpy as np

ROUNDS = 10_000


def elo(points: np.ndarray, draws_each: float = 1.0) -> np.ndarray:
    """Ratings [players], of which the first is 0; 400 more is ten points to one.

    points: [players, players], what the row scored against the column, a draw being half a point to both. A player of
    rating R scores 1 / (1 + 10^((R' - R) / 400)) of the points against R' in expectation, and the ratings are those of
    the largest likelihood (Hunter, 2004, https://doi.org/10.1214/aos/1079120141, eq. 3). `draws_each` draws are added
    between any two who met: without them, who never lost a point would have no finite rating.
    """
    points = np.asarray(points, float)
    met = (points + points.T) > 0
    points = points + 0.5 * draws_each * met
    games, strength = points + points.T, np.ones(len(points))
    np.fill_diagonal(games, 0)
    won = np.where(np.eye(len(points)), 0, points).sum(1)
    for _ in range(ROUNDS):
        new = won / (games / (strength[:, None] + strength)).sum(1)
        new /= new[0]
        if np.allclose(new, strength, rtol=1e-10, atol=0):
            break
        strength = new
    return 400 * np.log10(strength)
