"""`bellmax algorithms`."""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from bellmax.catalogue import ALGORITHMS, LANGUAGE, LANGUAGE_SUMMARIES, SUMMARIES
from bellmax.cli.flags import parse


@dataclass(frozen=True)
class Algorithms:
    """List the algorithms, what they are, and the papers they follow."""


def main(words: list[str]) -> None:
    """Print a line and a link for each."""
    parse(Algorithms, words, "algorithms")
    width, summaries = max(map(len, ALGORITHMS)), SUMMARIES | LANGUAGE_SUMMARIES
    for name in [*ALGORITHMS, *LANGUAGE]:
        print(f"{name.ljust(width)}  {summaries[name]}")
        print(f"{' ' * width}  {paper(name)}")
    print("\n`bellmax train ALGORITHM --help` shows an algorithm's hyperparameters; of those from sft on, which train")
    print("language models, `bellmax ALGORITHM --help` does.")


def paper(name: str) -> str:
    """The first link in the docstring of an algorithm's file; "" if there is none. The file is not run."""
    spec = importlib.util.find_spec((ALGORITHMS | LANGUAGE)[name].partition(":")[0])
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text())) if spec and spec.origin else None
    found = re.search(r"https?://[^\s),;]+", text or "")
    return found[0].rstrip(".") if found else ""
