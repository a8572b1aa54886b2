"""How the true reward rises and falls as a proxy of it is optimised (Gao, Schulman & Hilton, 2023).

With d the square root of the KL from the policy before (https://arxiv.org/abs/2210.10760, section 3.1), both measured
from where it began:

    best-of-n               R(d) = d (a - b d)
    reinforcement learning  R(d) = d (a - b ln d)
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

Form = Literal["best-of-n", "rl"]


class Fit(NamedTuple):
    """A form with the a and b of least squares."""

    form: Form
    a: float  # what is gained at first, for each unit of d
    b: float  # how fast that fades
    r_squared: float  # 1 - squared errors / squared deviations from the mean

    def __call__(self, distance: Any) -> np.ndarray:
        """R(d)."""
        return reward_at(self.form, distance, self.a, self.b)

    @property
    def peak(self) -> tuple[float, float]:
        """d at the highest reward, and that reward; infinite where it never falls.

        R' = a - 2 b d is 0 at a / 2b, where R = a^2 / 4b; R' = a - b ln d - b is 0 at exp(a / b - 1), where R = b d.
        """
        if self.b <= 0:
            return math.inf, math.inf
        if self.form == "rl":
            distance = math.exp(min(self.a / self.b - 1, 700))
            return distance, self.b * distance
        return max(self.a / (2 * self.b), 0.0), max(self.a, 0.0) ** 2 / (4 * self.b)


def reward_at(form: Form, distance: Any, a: float, b: float) -> np.ndarray:
    """R(d) of either form, [...] -> [...]; 0 at d = 0."""
    columns = _columns(form, np.asarray(distance, float))
    return a * columns[0] - b * columns[1]


def fit_overoptimisation(form: Form, distance: Any, reward: Any) -> Fit:
    """The form nearest to rewards [n] at distances [n], by least squares.

    reward   what was gained over the policy before, so that it is 0 at d = 0: both forms are linear in a and b
    ValueError for fewer than three points, distances below 0, or such that a and b cannot be told apart.
    """
    distance, reward = np.asarray(distance, float), np.asarray(reward, float)
    if distance.ndim != 1 or distance.shape != reward.shape or len(distance) < 3:
        raise ValueError(f"distance has shape {distance.shape} and reward {reward.shape}: give [n] each, n at least 3.")
    if not (np.isfinite(reward).all() and np.isfinite(distance).all() and distance.min() >= 0):
        raise ValueError("distance and reward must be finite, and distance at least 0: it is the root of a KL.")
    rising, fading = _columns(form, distance)
    (a, b), _, rank, _ = np.linalg.lstsq(np.stack([rising, -fading], 1), reward, rcond=None)
    if rank < 2:
        raise ValueError(f"distance = {distance}: it needs two different values above 0 to tell a from b.")
    left = reward - reward_at(form, distance, a, b)
    spread = np.square(reward - reward.mean()).sum()
    return Fit(form, float(a), float(b), float(1 - np.square(left).sum() / spread) if spread > 0 else math.nan)


def _columns(form: Form, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a and -b are multiplied with."""
    if form not in ("best-of-n", "rl"):
        raise ValueError(f"form = {form!r}: choose 'best-of-n' or 'rl'.")
    if form == "best-of-n":
        return distance, distance**2
    return distance, distance * np.log(np.where(distance > 0, distance, 1.0))  # d ln d is 0 at 0
