"""A display for machines: every event is one line of JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from bellmax.display.protocol import Facts
from bellmax.runs.plain import plain


class Json:
    """Lines such as {"event": "row", "seed": 0, "step": 1024, "score": 21.3, ...}; NaN and infinities are null."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def start(self, facts: Facts) -> None:
        self._write("start", facts._asdict())

    def compiling(self) -> None:
        self._write("compiling", {})

    def compiled(self, seconds: float) -> None:
        self._write("compiled", {"seconds": seconds})

    def row(self, row: Mapping[str, Any]) -> None:
        self._write("row", row)

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self._write("evaluation", row)

    def note(self, text: str) -> None:
        self._write("note", {"text": text})

    def finish(self, summary: Mapping[str, Any]) -> None:
        self._write("finish", summary)

    def _write(self, event: str, fields: Mapping[str, Any]) -> None:
        line = json.dumps({"event": event} | plain(fields, event), allow_nan=False)
        print(line, file=self._stream or sys.stdout, flush=True)
