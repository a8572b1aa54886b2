"""A display that shows nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bellmax.display.protocol import Facts


class Quiet:
    """Not a word."""

    def start(self, facts: Facts) -> None:
        pass

    def compiling(self) -> None:
        pass

    def compiled(self, seconds: float) -> None:
        pass

    def row(self, row: Mapping[str, Any]) -> None:
        pass

    def evaluation(self, row: Mapping[str, Any]) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def finish(self, summary: Mapping[str, Any]) -> None:
        pass
