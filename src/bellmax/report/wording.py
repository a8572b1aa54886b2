"""How numbers are written for people: in tables, on axes, in the display."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MISSING = "-"


def figure(x: float) -> str:
    """About four digits, thousands apart: 0.0123, 1.23, 12.3, 497.2, 12,345; "-" for NaN."""
    if math.isnan(x):
        return MISSING
    if math.isinf(x):
        return "never" if x > 0 else "-inf"
    size = abs(x)
    if size >= 1000:
        return f"{x:,.0f}"
    if size >= 10 or x == 0:
        return f"{x:.1f}"
    return f"{x:.2f}" if size >= 1 else f"{x:.3g}"


def short(x: float, largest: float = 0.0) -> str:
    """For the ticks of an axis that reaches to `largest`: 0.05, 500, 2,500, 20k, 1.5M; exact to six digits.

    Thousands are 2,500 on an axis that ends below 10,000, and 2.5k beside 20k.
    """
    size, thousand = abs(x), 1e3 if abs(largest) >= 1e4 else 1e4
    for unit, letter, least in ((1e9, "G", 1e9), (1e6, "M", 1e6), (1e3, "k", thousand)):
        if size >= least:
            return f"{x / unit:.6g}{letter}".replace("-", "\N{MINUS SIGN}")
    return f"{x:,.6g}".replace("-", "\N{MINUS SIGN}")


def duration(seconds: float) -> str:
    """4.2 s, 58 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def interval(middle: float, low: float, high: float) -> str:
    """497.2 [480.1, 500.0], or the middle alone where nothing is known of the ends."""
    ends = "" if math.isnan(low) or math.isnan(high) else f" [{figure(low)}, {figure(high)}]"
    return figure(middle) + ends


def cell(value: Any) -> str:
    """One entry of a table, whatever it is."""
    if value is None:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return figure(float(value))
    if isinstance(value, list | tuple | np.ndarray):
        return f"[{', '.join(cell(entry) for entry in value)}]"
    return str(value)


def aligned(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in plain text: columns of numbers to the right, others to the left."""
    widths = [max(map(len, column)) for column in zip(heading, *lines)]
    right = [_holds_numbers(column) for column in zip(*lines)] or [False] * len(heading)
    rule = ["-" * width for width in widths]
    padded = [
        "  ".join(
            text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in zip(line, widths, right)
        )
        for line in (heading, rule, *lines)
    ]
    return "\n".join(line.rstrip() for line in padded)


def markdown(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """The same as a Markdown table."""
    right = [_holds_numbers(column) for column in zip(*lines)] or [False] * len(heading)
    rule = ["---:" if to_right else "---" for to_right in right]
    rows = (heading, rule, *([_escaped(text) for text in line] for line in lines))
    return "\n".join(f"| {' | '.join(line)} |" for line in rows)


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Rows of facts -> heading and lines of text; `columns` gives the heading of each key, in order."""
    return list(columns.values()), [[cell(row.get(key)) for key in columns] for row in rows]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _holds_numbers(column: Sequence[str]) -> bool:
    told = [text for text in column if text not in ("", MISSING)]
    return bool(told) and all(text.lstrip("-[")[:1].isdigit() or text == "never" for text in told)
