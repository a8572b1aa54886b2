"""`bellmax runs [ROOT]`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from bellmax.cli.find_run import ROOT
from bellmax.cli.flags import parse
from bellmax.report.wording import MISSING, aligned, figure
from bellmax.runs import RunFolder, RunFolderError, list_runs

_TAIL = 65_536  # bytes at the end of a file of rows: the last rows of many seeds


@dataclass(frozen=True)
class Runs:
    """List the runs in a folder, the newest last."""

    root: Annotated[str, Positional, arg(metavar="ROOT")] = str(ROOT)  # the folder that holds them


def main(words: list[str]) -> None:
    """Print the table."""
    root = Path(parse(Runs, words, "runs").root)
    runs = list_runs(root)
    if not runs:
        raise RunFolderError(f"there are no runs in {root}: train one with `bellmax train ppo CartPole-v1`.")
    print(fitted([facts(run) for run in runs], shutil.get_terminal_size().columns if sys.stdout.isatty() else 10**9))


def fitted(rows: list[dict[str, str]], width: int) -> str:
    """The table, without the columns that a narrow terminal has no room for."""
    names = list(rows[0])
    for spare in ("begun", "algorithm", "environment", "seeds", "of", None):
        table = aligned(names, [[row[name] for name in names] for row in rows])
        if spare is None or max(map(len, table.splitlines())) <= width:
            return table
        names.remove(spare)
    return table


def facts(run: RunFolder) -> dict[str, str]:
    """What the table says of one run; what cannot be read is missing, or said in place of the status."""
    try:
        config, status = run.config, str(run.status)
    except RunFolderError:
        config, status = {}, "damaged" if (run.path / "config.json").exists() else "not begun"
    seeds = config.get("seeds") or []
    rows = list(last_rows(run))
    steps = {row["seed"]: row["step"] for row in rows if "step" in row}
    scores = {row["seed"]: row["score"] for row in rows if row.get("score") is not None}
    done = f"{sum(steps.values()) // max(len(seeds), 1):,}" if steps else "0"
    score = figure(sum(scores.values()) / len(scores)) if scores else MISSING
    goal = f"{config['steps']:,}" if "steps" in config else MISSING
    return {
        "run": run.path.name,
        "algorithm": algorithm(config),
        "environment": str(config.get("environment", {}).get("name", MISSING)),
        "status": status,
        "steps": done,
        "of": goal,
        "seeds": f"{len(seeds)}",
        "score": score,
        "begun": begun(run),
    }


def algorithm(config: dict[str, Any]) -> str:
    """The name of the algorithm, without its wrappers."""
    inner = config.get("algorithm") or {}
    while isinstance(inner.get("inner"), dict):
        inner = inner["inner"]
    return str(inner.get("kind", MISSING)).rpartition(":")[2]


def begun(run: RunFolder) -> str:
    """When, in local time, as 2026-11-21 09:30."""
    try:
        created = json.loads((run.path / "status.json").read_bytes())["created"]
        return datetime.fromisoformat(created).astimezone().strftime("%Y-%m-%d %H:%M")
    except (OSError, ValueError, KeyError, TypeError):
        return MISSING


def last_rows(run: RunFolder) -> Iterator[dict[str, Any]]:
    """The last rows of metrics, of the run and of the seeds in folders of their own, without reading all of them."""
    for folder in (run, *run.children):
        path = folder.path / "metrics.jsonl"
        try:
            with open(path, "rb") as file:
                file.seek(max(file.seek(0, 2) - _TAIL, 0))
                lines = file.read().split(b"\n")  # the first may be the end of one, and is no row then
        except OSError:
            continue
        for text in lines:
            try:
                row = json.loads(text)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield {"seed": 0} | row
