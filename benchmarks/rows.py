"""Tables whose rows take minutes: each is kept as it comes, beside those that were measured before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def known(results: Path, by: str) -> dict[str, Row]:
    """The rows that were measured before, by what their column `by` says. `results`: the file without its ending."""
    file = results.with_suffix(".json")
    return {row[by]: row for row in json.loads(file.read_text())["rows"]} if file.is_file() else {}


def keep(
    results: Path,
    title: str,
    table: Mapping[str, Row],
    names: Iterable[str],
    columns: Mapping[str, str],
    about: str | None,
    command: str,
) -> None:
    """Write the rows of `table` in the order of `names`, and say which are missing; `about`: a docstring, for notes."""
    from bellmax.report import write_result

    notes = [" ".join(part.split()) for part in (about or "").split("\n\n")[1:]]
    rows, missing = [table[name] for name in names if name in table], [name for name in names if name not in table]
    notes += [f"Not run: {', '.join(missing)}."] if missing else []
    shown = {name: heading for name, heading in columns.items() if any(name in row for row in rows)}
    write_result(results, title, rows, shown, notes, command=command)
