"""What the documentation's pages say, cut into what can be checked."""

from __future__ import annotations

import ast
import itertools
import re
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^(?P<before>[^\n]*)\n+```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")


class Block(NamedTuple):
    """A fenced block of a page."""

    kind: str  # "python", "sh", ...
    text: str
    line: int  # of its first line, in the page
    is_run: bool


class Statement(NamedTuple):
    """A statement of a block, and what its comments promise that it prints: `# -> 3`."""

    code: ast.stmt
    promised: list[str]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = FENCE.finditer(f"\n{text}")  # the line before a block may be a comment that says it is not run
    return [
        Block(x["kind"], x["text"], text[: max(x.start("text") - 1, 0)].count("\n") + 1, not NOT_RUN.match(x["before"]))
        for x in found
    ]


def statements(block: Block) -> Iterator[Statement]:
    """The statements of a block of Python, numbered as in the page."""
    tokens = tokenize.generate_tokens(StringIO(block.text).readline)
    comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    for node in ast.parse(block.text).body:
        here = [comments[line] for line in range(node.lineno, node.end_lineno + 1) if line in comments]
        promised = [comment.removeprefix("# -> ") for comment in here if comment.startswith("# -> ")]
        ast.increment_lineno(node, block.line - 1)
        yield Statement(node, promised)


def commands(text: str) -> list[str]:
    """The shell commands of a page: the lines of its `sh` blocks, and `bellmax ...` in running text."""
    lines = [
        line.partition("  #")[0].strip()
        for block in blocks(text)
        if block.kind == "sh"
        for line in block.text.splitlines()
    ]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [line for line in lines if line] + re.findall(r"`((?:bellmax|make) [^`]+)`", prose)


def links(text: str) -> list[str]:
    """Where a page's relative links lead, fragments included."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if not target.startswith(("http:", "https:"))]


def headings(text: str) -> set[str]:
    """The fragments that a page's headings can be linked by."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def table(text: str, first: str) -> list[dict[str, str]]:
    """The rows of the tables whose first heading is `first`, by heading, without backticks."""
    lines, rows = text.splitlines(), []
    starts = [index for index in range(len(lines) - 1) if lines[index][:1] == "|" and lines[index + 1][:3] == "|--"]
    for start in starts:
        heads = _cells(lines[start])
        body = itertools.takewhile(lambda line: line.startswith("|"), lines[start + 2 :])
        rows += [dict(zip(heads, _cells(line), strict=True)) for line in body if heads[0] == first]
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
