"""`bellmax plot RUN ...`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from bellmax.cli.find_run import find_run
from bellmax.cli.flags import parse
from bellmax.report import plot


@dataclass(frozen=True)
class Plot:
    """Draw learning curves, with intervals over seeds."""

    runs: Annotated[tuple[str, ...], Positional, arg(metavar="RUN [RUN ...]")]  # folders, names in ./runs, or latest
    output: str | None = None  # a .png, .svg or .pdf; curve.png in the run's folder, or curves.png here, if left out
    metric: str = "score"  # a key of metrics.jsonl, or evaluation


def main(words: list[str]) -> None:
    """Draw, and say where."""
    asked = parse(Plot, words, "plot")
    folders = [find_run(name) for name in asked.runs or ("latest",)]
    output = asked.output or (folders[0] / "curve.png" if len(folders) == 1 else "curves.png")
    print(f"drew {plot(folders, output, asked.metric)}")
