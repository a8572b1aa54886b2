"""A result for the record: a table with everything needed to get it again, as JSON and as Markdown."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from bellmax.report import wording
from bellmax.runs import provenance as here
from bellmax.runs.disk import make_folder, replace
from bellmax.runs.plain import plain


def write_result(
    path_without_suffix: str | Path,
    title: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | Mapping[str, str],
    notes: Sequence[str] = (),
    provenance: Mapping[str, Any] | None = None,
    command: str | None = None,
    seeds: Sequence[int] | str | None = None,
) -> list[Path]:
    """Write a table to PATH.md and PATH.json -> the two paths. Folders that are missing are made.

    rows        a dict a line; the JSON keeps all of it
    columns     the keys to show, in order, or {key: heading}
    notes       sentences below the table: protocol, sources, what differs
    provenance  as `bellmax.runs.provenance()` gives it; by default that of this process
    command     what to type to get it again; by default how this process was called. Paths outside the current
                directory are cut to their names
    seeds       the seeds, or a sentence about them; not needed if every row has "seeds"

    Raises ValueError where seeds are not told or a column is in no row, RunFolderError where it cannot write.
    """
    headings = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    _check(rows, headings, seeds)
    facts = dict(here() if provenance is None else provenance)
    facts["command"] = _portable(command or facts.get("command") or "")
    date = facts.get("time") or datetime.now(UTC).isoformat(timespec="seconds")
    seeds = seeds if seeds is None or isinstance(seeds, str) else list(seeds)
    told = {"title": title, "date": date, "command": facts["command"], "seeds": seeds, "columns": headings}
    everything = told | {"rows": list(rows), "notes": list(notes), "provenance": facts}
    texts = {
        ".md": _page(title, wording.markdown(*wording.table(rows, headings)), notes, _facts(facts, date, seeds)),
        ".json": json.dumps(plain(everything, "result"), indent=1, ensure_ascii=False),
    }
    path = Path(path_without_suffix)
    make_folder(path.parent, parents=True)
    return [replace(path.with_name(path.name + suffix), [f"{text}\n".encode()]) for suffix, text in texts.items()]


def _check(rows: Sequence[Mapping[str, Any]], headings: Mapping[str, str], seeds: Any) -> None:
    if not rows:
        raise ValueError("rows is empty: give at least one line.")
    unknown = [name for name in headings if not any(name in row for row in rows)]
    if unknown:
        raise ValueError(f"columns has {unknown[0]!r}, which no row has: choose from {', '.join(rows[0])}.")
    if seeds is None and not all("seeds" in row for row in rows):
        raise ValueError('seeds are not told: give seeds=[...], or "seeds" in every row.')


def _page(title: str, table: str, notes: Sequence[str], facts: Mapping[str, str]) -> str:
    parts = [f"# {title}", table, "\n".join(f"* {note}" for note in notes)]
    made = [f"* {name}: {fact}" for name, fact in facts.items() if fact]
    return "\n\n".join(filter(None, [*parts, "## How it was made", "\n".join(made)]))


def _facts(provenance: Mapping[str, Any], date: str, seeds: Sequence[int] | str | None) -> dict[str, str]:
    versions = provenance.get("versions") or {}
    devices = provenance.get("devices") or {}
    commit = str(provenance.get("commit") or "unknown")
    machine = [provenance.get("platform"), f"{provenance['cpus']} cores" if provenance.get("cpus") else None]
    return {
        "command": f"`{provenance['command']}`" if provenance["command"] else "",
        "seeds": seeds if isinstance(seeds, str) else ", ".join(map(str, seeds or [])),
        "date": date,
        "machine": ", ".join(filter(None, [*machine, *(f"{count} x {kind}" for kind, count in devices.items())])),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        "Python": str(provenance.get("python") or ""),
        "commit": commit + (" with changes" if provenance.get("dirty") else ""),
    }


def _portable(command: str) -> str:
    """A command that can be typed on another machine: no absolute paths."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that never ends: somebody's sentence
        return command
    short = [_relative(word) for word in words]
    return command if short == words else shlex.join(short)


def _relative(word: str) -> str:
    option, equals, value = word.rpartition("=")
    path = PurePath(value)
    if not path.is_absolute():
        return word
    return option + equals + (str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name)
