"""A display for logs: a few plain lines, however long the run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from bellmax.display.progress import Progress
from bellmax.display.protocol import Facts
from bellmax.display.words import count, duration, measured, number, pace, seeds

_LINES = 20  # of progress in a run


class Lines:
    """A line at the start, one every twentieth of the run, one an evaluation, one at the end."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._progress: Progress | None = None
        self._printed = 0

    def start(self, facts: Facts) -> None:
        self._progress = Progress(facts, self._clock)
        self._printed = int(self._progress.fraction * _LINES)
        length = f"{facts.steps:,} steps" + (" each" if len(facts.seeds) > 1 else "")
        recipe = f"recipe {facts.recipe}" if facts.recipe else "no recipe"
        words = [facts.driver, count(facts.num_envs, "env"), seeds(facts.seeds), length, recipe]
        words += [f"from step {facts.taken:,}"] if facts.taken else []
        self._say(f"{facts.algorithm} on {facts.env}: {', '.join(words)}" + _into(facts.folder))

    def compiling(self) -> None:
        if self._progress is not None:
            self._progress.compiling()

    def compiled(self, seconds: float) -> None:
        if self._progress is not None:
            self._progress.compiled(seconds)
        if seconds >= 0.05:  # what is compiled with the first step has nothing to say here
            self._say(f"compiled in {duration(seconds)}")

    def row(self, row: Mapping[str, Any]) -> None:
        progress = self._progress
        if progress is None:
            return
        progress.row(row)
        reached = int(progress.fraction * _LINES)
        if reached > self._printed:
            self._printed = reached
            speed = pace(progress.speed) if progress.speed else "- steps/s"
            watched, value = progress.watched
            steps = f"{progress.total // len(progress.facts.seeds):>{len(f'{progress.facts.steps:,}')},} steps"
            left = f"  {duration(progress.seconds_left)} left" if progress.fraction < 1 else ""
            self._say(f"{progress.fraction:4.0%}  {steps}  {watched} {number(value):>8}  {speed:>17}{left}")

    def evaluation(self, row: Mapping[str, Any]) -> None:
        several = self._progress is not None and len(self._progress.facts.seeds) > 1
        who = f" of seed {row.get('seed')}" if several else ""
        self._say(f"evaluation{who} at {row.get('step', 0):,} steps: {measured(row)}")

    def note(self, text: str) -> None:
        self._say(text)

    def finish(self, summary: Mapping[str, Any]) -> None:
        self._say(closing(summary) + _into(summary.get("folder")))

    def _say(self, text: str) -> None:
        print(text, file=self._stream or sys.stdout, flush=True)


def closing(summary: Mapping[str, Any]) -> str:
    """A run in one sentence: finished: 102,400 steps in 4.6 s (22,310 steps/s), 3.1 s compiling, score 480.1."""
    speed = summary.get("steps_per_second")
    words = [f"{summary.get('steps') or 0:,} steps in {duration(summary.get('run'))}"]
    words[0] += f" ({pace(speed)})" if speed else ""
    words += [f"{duration(summary['compile'])} compiling"] if (summary.get("compile") or 0) >= 0.05 else []
    words += [f"score {number(summary['score'])}"] if summary.get("score") is not None else []
    return f"{summary.get('status', 'finished')}: {', '.join(words)}"


def _into(folder: Any) -> str:
    return f" -> {folder}" if folder else ""
