"""Tables in files or in memory, record by record, each with the place it is from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

Source = str | Path | Iterable[Mapping[str, Any]]


class Record(NamedTuple):
    """What stands in one place, or what is wrong there."""

    place: str  # "data.jsonl line 3"
    value: Any
    problem: str | None = None


def records(source: Source) -> Iterator[Record]:
    """The records of a .jsonl, .json or .parquet file, or of a list of dicts.

    A .json file holds a list, or a record a line. FileNotFoundError, ValueError or ImportError (Parquet needs pyarrow)
    where the whole cannot be read; a line that cannot be read is a record with a problem.
    """
    if not isinstance(source, str | Path):
        if isinstance(source, Mapping) or not isinstance(source, Iterable):
            raise ValueError(f"rows: give a path or a list of dicts, not a {type(source).__name__}.")
        return (Record(f"row {number}", value) for number, value in enumerate(source, 1))
    path = Path(source)
    readers = {".jsonl": _lines, ".json": _json, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path}: give a file that ends in {', '.join(readers)}.")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    return readers[path.suffix.lower()](path)


def _lines(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _line(f"{path} line {number}", line)


def _line(place: str, line: bytes) -> Record:
    try:
        return Record(place, json.loads(line))
    except (ValueError, RecursionError) as error:  # text that is not UTF-8 is a ValueError, too
        return Record(place, None, f"is not JSON: {error}")


def _json(path: Path) -> Iterator[Record]:
    """A list of records; or, as many have it, a record a line."""
    data = path.read_bytes()
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"[":
        return _lines(path)
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: it is not JSON: {error}") from error
    return (Record(f"{path} row {number}", value) for number, value in enumerate(values, 1))


def _parquet(path: Path) -> Iterator[Record]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ImportError(f"{path}: to read Parquet, pip install pyarrow, or write the rows as .jsonl.") from error
    try:
        with ParquetFile(path) as file:
            values = (value for batch in file.iter_batches() for value in batch.to_pylist())
            for number, value in enumerate(values, 1):
                yield Record(f"{path} row {number}", value)
    except (ArrowException, OSError) as error:
        raise ValueError(f"{path}: it cannot be read as Parquet: {error}") from error
