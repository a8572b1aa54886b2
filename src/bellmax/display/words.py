"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

LEVELS, PLAIN_LEVELS = "▁▂▃▄▅▆▇█", ".:-=+*#@"


def number(value: float | None) -> str:
    """A score or a metric in at most eight characters: 312.4, 0.0041, 12,345, -1.2e+06."""
    if value is None or math.isnan(value):
        return "-"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    size = abs(value)
    if size < 1e-4 or size >= 999_999.5:
        return f"{value:.2g}" if value < 0 else f"{value:.3g}"
    if size >= 999.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 9.995 else f"{value:.3g}" if size < 1 else f"{value:.2f}"


def duration(seconds: float | None) -> str:
    """4.6 s, 52 s, 3 min 05 s, 2 h 14 min, 3 d 04 h."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours:02d} h"


def count(number: int, noun: str) -> str:
    """1 seed, 8 seeds."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seeds(numbers: Sequence[int]) -> str:
    """seed 3, seeds 0-7, 12 seeds."""
    if len(numbers) == 1:
        return f"seed {numbers[0]}"
    if list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"seeds {numbers[0]}-{numbers[-1]}"
    return count(len(numbers), "seed")


def sparkline(values: Sequence[float | None], levels: str = LEVELS) -> str:
    """A curve in one line of text, lowest to highest; None is a gap. [0, 1, None, 7] is "▁▂ █"."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return " " * len(values)
    low, span = min(known), max(known) - min(known)

    def level(value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return " "
        part = (value - low) / span if span > 0 else 0.5
        return levels[round(part * (len(levels) - 1))]

    return "".join(map(level, values))


def measured(row: Any) -> str:
    """What an evaluation says: 498.2 +- 3.1 over 100 greedy episodes."""
    how = "greedy" if row.get("greedy", True) else "sampled"
    spread = f" +- {number(row['std'])}" if row.get("std") is not None else ""
    return f"{number(row.get('mean'))}{spread} over {row.get('episodes', '?')} {how} episodes"
