"""`bellmax train ALGORITHM ENV`."""

from __future__ import annotations

import sys
from typing import Any

from bellmax.cli.find_run import explain_interrupt
from bellmax.cli.request import understand
from bellmax.training import train


def main(words: list[str]) -> None:
    """Train, show the table that was learned on a grid, and draw the curve and the grid if that was asked for."""
    request = understand(words, "train")
    with explain_interrupt(request.options.run_folder):
        run = train(**request.arguments)
    options = request.options
    if options.plot:
        for path in drawn(run):
            if not options.quiet:
                print(f"drew {path}", file=sys.stderr if options.json else sys.stdout)
    if not (options.quiet or options.json):
        shown(run)


def drawn(run: Any) -> list[Any]:
    """Draw the learning curve, and what was learned about a grid -> the files."""
    from bellmax.cli.board import draw_learned

    where = run.folder.path if run.folder else None
    curve = run.plot(where / "curve.png" if where else "curve.png")
    return [curve, *draw_learned(run, where / "values.png" if where else "values.png")]


def shown(run: Any) -> None:
    """Print what a table has learned about a grid."""
    from bellmax.cli.board import board_text, learned

    found = learned(run, only_tables=True)
    if found is not None:
        several = f" (seed {run.seeds[0]})" if len(run.seeds) > 1 else ""
        print(f"\n{board_text(found.mdp, found.values, found.chosen, 'learned')}{several}")
