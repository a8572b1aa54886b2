"""A file of rows, one JSON object a line, that grows while a run goes on."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bellmax.runs.disk import explained, replace
from bellmax.runs.lock import turn
from bellmax.runs.plain import plain

Row = dict[str, Any]


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row at the end; NaN and infinities become null.

    One write call in append mode: rows of several processes never mix, and a row is with the
    operating system, safe from a kill, when this returns. Raises RunFolderError, and TypeError for
    an entry that JSON cannot hold.
    """
    line = json.dumps(plain(row, "row"), allow_nan=False).encode() + b"\n"
    with explained(path):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            with turn(descriptor):  # else a row that is just being written looks torn
                line = b"\n" + line if _torn(descriptor) else line
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)


def _torn(descriptor: int) -> bool:
    """Does the file stop in the middle of a line, where a process was killed or the disk was full?"""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return False
    os.lseek(descriptor, size - 1, os.SEEK_SET)  # appending goes to the end all the same
    return os.read(descriptor, 1) != b"\n"


def read(path: Path) -> list[Row]:
    """All rows in the order they were added; none if there is no file. A torn line is left out."""
    return [row for _, row in _lines(path)]


def rewind(path: Path, step: int, seed: int | None = None) -> None:
    """Drop the rows whose "step" is beyond `step` (only those of one "seed", if given), all or nothing.

    Nobody may append meanwhile: hold the run folder's lock.
    """
    lines = _lines(path)
    kept = [line for line, row in lines if not (_beyond(row, step) and seed in (None, row.get("seed")))]
    if len(kept) < len(lines):
        replace(path, [line + b"\n" for line in kept])


def _beyond(row: Row, step: int) -> bool:
    return isinstance(row.get("step"), int | float) and row["step"] > step


def _lines(path: Path) -> list[tuple[bytes, Row]]:
    with explained(path, "read"):
        lines = path.read_bytes().split(b"\n") if path.exists() else []
    rows = ((line, _parsed(line)) for line in lines)
    return [(line, row) for line, row in rows if row is not None]


def _parsed(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
