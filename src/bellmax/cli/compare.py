"""`bellmax compare RUN ...`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from bellmax.cli.find_run import find_run
from bellmax.cli.flags import Flag, parse
from bellmax.report import compare


@dataclass(frozen=True)
class Compare:
    """Put runs side by side, a line each."""

    runs: Annotated[tuple[str, ...], Positional, arg(metavar="RUN [RUN ...]")]  # folders, names in ./runs, or latest
    markdown: Flag = False  # a table for a web page


def main(words: list[str]) -> None:
    """Print the table."""
    asked = parse(Compare, words, "compare")
    folders = [find_run(name) for name in asked.runs]
    print(compare(folders, style="markdown" if asked.markdown else "text"))
