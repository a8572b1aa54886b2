"""`bellmax resume RUN`."""

from __future__ import annotations

from dataclasses import dataclass

from bellmax.cli.find_run import find_run, how_to_resume
from bellmax.cli.flags import Flag, RunName, parse
from bellmax.training import resume


@dataclass(frozen=True)
class Resume:
    """Go on with a run that stopped, to its end or beyond. In-graph runs go on as if they had never stopped."""

    run: RunName  # a run folder, the name of one in ./runs, or latest
    steps: int | None = None  # a new length of the run, in environment steps of each seed
    data: str | None = None  # the logged steps it learns from, if they were moved
    checkpoint: str | None = None  # the file to go on from, if not the latest
    quiet: Flag = False  # print nothing
    json: Flag = False  # print every event as a line of JSON


def main(words: list[str]) -> None:
    """Go on with a run."""
    asked = parse(Resume, words, "resume")
    path = find_run(asked.run)
    display = "quiet" if asked.quiet else "json" if asked.json else "auto"
    try:
        resume(path, steps=asked.steps, data=asked.data, checkpoint=asked.checkpoint, display=display)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(str(interrupt) or how_to_resume(path)) from interrupt
