"""`bellmax train ALGORITHM ENV`."""

from __future__ import annotations

import sys

from bellmax.cli.find_run import explain_interrupt
from bellmax.cli.request import understand
from bellmax.training import train


def main(words: list[str]) -> None:
    """Train, and draw the learning curve if that was asked for."""
    request = understand(words, "train")
    with explain_interrupt(request.options.run_folder):
        run = train(**request.arguments)
    if request.options.plot:
        path = run.plot(run.folder.path / "curve.png" if run.folder else "curve.png")
        if not request.options.quiet:
            print(f"drew {path}", file=sys.stderr if request.options.json else sys.stdout)
