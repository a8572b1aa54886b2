"""What displays say: the numbers of a run as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bellmax.report import wording


def number(value: float | None) -> str:
    """A score or a metric: 312.4, 0.0041, 12,345; "-" where there is none."""
    return wording.MISSING if value is None else wording.figure(value)


def duration(seconds: float | None) -> str:
    """4.6 s, 52 s, 3 min 05 s, 2 h 14 min; "-" where nobody knows."""
    return wording.MISSING if seconds is None or not math.isfinite(seconds) else wording.duration(seconds)


def count(number: int, noun: str) -> str:
    """1 seed, 8 seeds."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def pace(steps_per_second: float) -> str:
    """22,310 steps/s; with its fraction where steps are slow, as the updates of a language model are: 1.4 steps/s."""
    slow = steps_per_second < 10
    return f"{number(steps_per_second) if slow else format(steps_per_second, ',.0f')} steps/s"


def seeds(numbers: Sequence[int]) -> str:
    """seed 3, seeds 0-7, 12 seeds."""
    if len(numbers) == 1:
        return f"seed {numbers[0]}"
    if list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"seeds {numbers[0]}-{numbers[-1]}"
    return count(len(numbers), "seed")


def measured(row: Any) -> str:
    """What an evaluation says: 498.2 +- 3.1 over 100 greedy episodes."""
    how = "greedy" if row.get("greedy", True) else "sampled"
    spread = f" +- {number(row['std'])}" if row.get("std") is not None else ""
    return f"{number(row.get('mean'))}{spread} over {count(row.get('episodes', 0), f'{how} episode')}"
