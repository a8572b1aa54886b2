"""What a section of the book's benchmarks finds out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Claim(NamedTuple):
    """One line of the table: a figure of ours beside the published one."""

    section: str  # "Prediction"
    what: str  # "5-state random walk, TD(0) alpha .05, RMS error after 100 episodes"
    measured: str  # "0.036"
    reference: str  # "0.036 (Example 6.2)"
    tolerance: str  # "+-.012"
    passed: bool
    command: str = ""  # settings and seeds in a few words: "100 runs"


def episodes(metrics: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and lengths of the episodes that ended, in order, from `ingraph.train`'s metrics of ONE run of one
    environment with `Steps(1)` (a round is a step)."""
    ended = np.asarray(metrics["episodes"]) > 0
    return np.asarray(metrics["score"])[ended], np.asarray(metrics["length"])[ended]
