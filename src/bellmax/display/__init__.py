"""What a run looks like while it goes on: live on a terminal, lines in a log, JSON for machines, or nothing."""

from __future__ import annotations

import os
import sys

from bellmax.display.protocol import Display, Facts

KINDS = ("auto", "live", "lines", "json", "quiet")

__all__ = ["KINDS", "Display", "Facts", "make"]


def make(kind: str = "auto") -> Display:
    """The display called `kind`; "auto" is live on a terminal and lines elsewhere. Raises ValueError."""
    if kind == "auto":
        kind = "live" if _is_terminal() else "lines"
    if kind == "live":
        from bellmax.display.live import Live

        return Live()
    if kind == "lines":
        from bellmax.display.lines import Lines

        return Lines()
    if kind == "json":
        from bellmax.display.json_lines import Json

        return Json()
    if kind == "quiet":
        from bellmax.display.quiet import Quiet

        return Quiet()
    raise ValueError(f"display = {kind!r}: it must be one of {', '.join(KINDS)}.")


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
