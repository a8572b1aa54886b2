"""`bellmax envs [FILTER]`."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from bellmax.cli.flags import parse
from bellmax.envs.names import known, nearest

TITLES = {
    "bellmax": "bellmax's own, in the graph",
    "gymnax": "Gymnax, in the graph",
    "gymnasium": "Gymnasium, on the host",
}


@dataclass(frozen=True)
class Envs:
    """List the environments by where they come from. Yours needs no listing: module:Class."""

    filter: Annotated[str, Positional, arg(metavar="FILTER")] = ""  # only names with this in them


def main(words: list[str]) -> None:
    """Print the names. Raises ValueError, with the nearest, if none matches."""
    wanted = parse(Envs, words, "envs").filter
    found = {source: [name for name in names if wanted.lower() in name.lower()] for source, names in known().items()}
    if not any(found.values()):
        near = nearest(wanted)
        hint = f"did you mean {' or '.join(near)}?" if near else "`bellmax envs` lists them all."
        raise ValueError(f"no environment has {wanted!r} in its name: {hint}")
    wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    order = [source for source in TITLES if found.get(source)] + [s for s in found if s not in TITLES and found[s]]
    blocks = [
        [f"{TITLES.get(source, source)}: {len(found[source])}", *columns(found[source], wide)] for source in order
    ]
    print("\n\n".join("\n".join(lines) for lines in blocks))


def columns(names: list[str], width: int) -> list[str]:
    """Names in as many columns as fit, read downwards; one a line where there is no terminal (width 0)."""
    cell = max(map(len, names)) + 2
    across = max(1, (width - 2) // cell)
    rows = -(-len(names) // across)
    return ["  " + "".join(name.ljust(cell) for name in names[row::rows]).rstrip() for row in range(rows)]
