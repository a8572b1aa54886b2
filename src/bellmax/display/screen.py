"""What the live display draws: a `Progress` as a picture for Rich. Nothing here keeps time or writes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bellmax.display.progress import History, Progress
from bellmax.display.words import count, duration, number, pace, seeds
from bellmax.report.sparklines import sparkline

WIDEST = 120  # columns; on a wider terminal the eye would have to travel
LABEL, SCORE, CURVE = "dim", "bold green", "green"
COLOURS = {"finished": "green", "interrupted": "yellow", "failed": "red"}
PLAIN = str.maketrans("▁▂▃▄▅▆▇█·…±", ".:-=+*#@-.~")  # for terminals that have ASCII alone
SHOWN = 9  # metrics
# Shown first, in this order; the rest as they come.
FIRST = ("entropy", "kl", "clip_fraction", "explained_variance", "value_error", "surrogate", "grad_norm")


class Screen:
    """The whole picture, drawn anew whenever Rich asks."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.summary: Mapping[str, Any] | None = None
        self._spinner = Spinner("dots", style="cyan")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST)
        parts = [
            header(self.progress),
            bar(self.progress),
            self._pace(),
            Text(),
            scores(self.progress, width),
        ]
        metrics = self.progress.metrics
        parts += [Text(), table(metrics, width)] if metrics else []
        parts += [Text(), ending(self.summary, self.progress)] if self.summary is not None else []
        parts += [
            Text()
        ]  # a short last line: the ^C that a terminal shows would otherwise wrap, and push the picture up
        drawn = console.render(Group(*parts), options.update(width=width))
        yield from map(in_ascii, drawn) if options.ascii_only else drawn

    def _pace(self) -> RenderableType:
        """Compile time and run time, apart."""
        progress = self.progress
        over = self.summary is not None
        if progress.compiling_since is not None and not over:
            self._spinner.update(text=Text(f"compiling   {duration(progress.compiling_for)}", LABEL))
            return Padding(self._spinner, (0, 2))
        words = [f"compiled in {duration(progress.compile_seconds)}"] if progress.compile_seconds is not None else []
        words += [] if over else [f"running {duration(progress.seconds)}"]
        words += [pace(progress.speed)] if progress.speed and not over else []
        words += [f"{duration(progress.seconds_left)} left"] if progress.seconds_left is not None and not over else []
        return Padding(Text("  ·  ".join(words), LABEL, no_wrap=True, overflow="ellipsis"), (0, 2))


def in_ascii(segment: Segment) -> Segment:
    """The same, as wide, in characters that every terminal has."""
    return Segment(segment.text.translate(PLAIN).encode("ascii", "replace").decode(), segment.style, segment.control)


def header(progress: Progress) -> RenderableType:
    """What is being run, and where it goes."""
    facts = progress.facts
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(style=LABEL)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_row("driver", "  ·  ".join((facts.driver, count(facts.num_envs, "env"), seeds(facts.seeds))))
    grid.add_row("recipe", facts.recipe or "none")
    if facts.folder:
        grid.add_row("folder", str(facts.folder))
    title = Text.assemble((facts.algorithm, "bold cyan"), " on ", (facts.env, "bold"))
    return Panel(grid, title=title, title_align="left", border_style=LABEL, padding=(0, 1))


def bar(progress: Progress) -> RenderableType:
    """How far it is."""
    facts = progress.facts
    each = " each" if len(facts.seeds) > 1 else ""
    taken = f"{min(progress.total // len(facts.seeds), facts.steps):,} / {facts.steps:,} steps{each}"
    line = Table.grid(padding=(0, 2), expand=True)
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    done = ProgressBar(total=1.0, completed=progress.fraction, complete_style="cyan", finished_style="green")
    line.add_row(done, Text.assemble((f"{progress.fraction:4.0%}", "bold"), f"  {taken}"))
    return Padding(line, (0, 2))


def scores(progress: Progress, width: int) -> RenderableType:
    """How well it goes: the mean over seeds, each seed if they are few, and what evaluations found."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=LABEL, no_wrap=True)
    grid.add_column(justify="right", no_wrap=True, min_width=8)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    room = max(min(width - 29, 64), 8)
    watched, value = progress.watched
    grid.add_row(watched, Text(number(value), SCORE), curve(progress.history, room))
    if len(progress.facts.seeds) > 1:
        for seed, history in progress.seed_histories.items():
            grid.add_row(f"  seed {seed}", number(progress.scores.get(seed)), curve(history, room))
        if not progress.seed_histories and progress.scores:
            known = list(progress.scores.values())
            grid.add_row("  seeds", f"{len(known)} of {len(progress.facts.seeds)}", spread(known))
    if progress.evaluations:
        grid.add_row("evaluation", *evaluations(progress))
    return Padding(grid, (0, 2))


def curve(history: History, width: int) -> Text:
    """The score so far; the room to its right is the part of the run still to come."""
    return Text(sparkline(history.curve(width), width), CURVE)


def spread(values: list[float]) -> str:
    """Many seeds in one line."""
    words = ("min", min(values)), ("median", statistics.median(values)), ("max", max(values))
    return " · ".join(f"{word} {number(value)}" for word, value in words)


def evaluations(progress: Progress) -> tuple[Text, str]:
    """The latest evaluation, or the mean of every seed's latest."""
    rows = list(progress.evaluations.values())
    means = [row["mean"] for row in rows]
    mean, at = Text(number(sum(means) / len(means)), SCORE), f" · at {max(row.get('step', 0) for row in rows):,}"
    if len(rows) > 1:
        return mean, f"min {number(min(means))} · max {number(max(means))}{at}"
    how = "greedy" if rows[0].get("greedy", True) else "sampled"
    return mean, f"± {number(rows[0].get('std'))} · {count(rows[0].get('episodes', 0), f'{how} episode')}{at}"


def table(metrics: dict[str, float], width: int) -> RenderableType:
    """The algorithm's own metrics, in as many columns as fit."""
    names = [name for name in FIRST if name in metrics] + [name for name in metrics if name not in FIRST]
    columns = max(1, (width - 4) // 34)
    grid = Table.grid(padding=(0, 3, 0, 0))
    for _ in range(columns):
        grid.add_column(style=LABEL, no_wrap=True, overflow="ellipsis", max_width=20)
        grid.add_column(justify="right", no_wrap=True, min_width=8)
    cells = [cell for name in names[:SHOWN] for cell in (name.replace("_", " "), number(metrics[name]))]
    for begin in range(0, len(cells), 2 * columns):
        grid.add_row(*cells[begin : begin + 2 * columns])
    return Padding(grid, (0, 2))


def ending(summary: Mapping[str, Any], progress: Progress) -> RenderableType:
    """How it ended, and what to do next."""
    status, speed = summary.get("status", "finished"), summary.get("steps_per_second")
    words = [f"{summary.get('steps') or progress.total:,} steps in {duration(summary.get('run'))}"]
    words += [pace(speed)] if speed else []
    said = Text.assemble((status, f"bold {COLOURS.get(status, 'green')}"), "  ", "  ·  ".join(words))
    folder = summary.get("folder") or progress.facts.folder
    shown = folder and status == "finished"
    hint = [Text(f"bellmax watch {folder}", LABEL, overflow="fold")] if shown else []
    return Padding(Group(said, *hint), (0, 2))
