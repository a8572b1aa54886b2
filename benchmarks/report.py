"""A table: what was measured, beside whom, against which target; written as JSON and as Markdown."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmarks import machine
from benchmarks.process import DISTURBED, ROOT

RESULTS = ROOT / "docs" / "results"
HEADER = ("what", "bellmax", "peer", "ratio", "target", "met?")


class Target(NamedTuple):
    """What must hold, of the ratio bellmax / peer or of bellmax's own figure."""

    of: Literal["ratio", "bellmax"]
    sense: Literal[">=", "<="]
    value: float

    def met(self, figure: float) -> bool:
        return figure >= self.value if self.sense == ">=" else figure <= self.value

    def __str__(self) -> str:
        return f"{self.sense} {shown(self.value)}" + ("x" if self.of == "ratio" else "")


class Row(NamedTuple):
    """One line. `bellmax` and `peer` are the figures of the repeats; the line shows their medians."""

    what: str
    bellmax: Sequence[float]
    unit: str = ""
    peer: Sequence[float] = ()
    peer_title: str = ""
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Median of bellmax's figures over the median of the peer's."""
        return statistics.median(self.bellmax) / statistics.median(self.peer) if self.peer else None

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        figure = self.ratio if self.target.of == "ratio" else statistics.median(self.bellmax)
        if figure is None:
            raise ValueError(
                f"the row {self.what!r} has a target for its ratio but no peer: give it the peer's figures"
            )
        return self.target.met(figure)

    def cells(self) -> list[str]:
        ratio, verdict = self.ratio, {None: "", True: "yes", False: "**no**"}[self.met]
        peer = f"{self.peer_title}: {spread(self.peer, self.unit)}" if self.peer else ""
        target = "" if self.target is None else str(self.target)
        ours = spread(self.bellmax, self.unit)
        return [self.what, ours, peer, "" if ratio is None else f"{ratio:.2f}x", target, verdict]


def spread(figures: Sequence[float], unit: str) -> str:
    """Median and, of several figures, the least and the largest."""
    text = shown(statistics.median(figures))
    if len(figures) > 1:
        text += f" ({shown(min(figures))} to {shown(max(figures))})"
    return f"{text} {unit}".strip()


def shown(figure: float) -> str:
    """Three digits or all whole ones: 0.123, 12.3, 12,345."""
    if figure == float("inf"):
        return "never"
    return f"{figure:,.0f}" if abs(figure) >= 1000 or figure == round(figure) else f"{figure:.3g}"


def markdown(title: str, rows: Sequence[Row], facts: dict[str, str]) -> str:
    """The table, and under it everything needed to measure it again."""
    lines = [HEADER, ("---",) * len(HEADER), *(row.cells() for row in rows)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    below = "\n".join(f"* {name}: {fact}" for name, fact in facts.items())
    medians = "Figures are medians of the repeats, with the least and the largest; the ratio is bellmax / peer."
    return f"# {title}\n\n{table}\n\n{medians}\n\n{below}\n"


def facts(command: str, seeds: str, answers: Sequence[dict[str, Any]], notes: Sequence[str]) -> dict[str, str]:
    """Command, date, machine, commit, versions, seeds, and how quiet the machine was."""
    here = machine.describe()
    versions: dict[str, set[str]] = {}
    for answer in answers:
        for name, version in answer.get("versions", {}).items():
            versions.setdefault(name, set()).add(version)
    load = max((answer.get("others", 0.0) for answer in answers), default=0.0)
    doubt = ": **too much to trust the figures**" if load > DISTURBED else ""
    listed = {
        "command": f"`{command}`",
        "date": here["date"],
        "machine": f"{here['cpu']}, {here['cores']} cores, {here['memory_gib']} GiB, {here['system']}",
        "others' use of the cores during a measurement": f"at most {load:.0%}{doubt}",
        "versions": ", ".join(f"{name} {' and '.join(sorted(of))}" for name, of in sorted(versions.items())),
        "Python": here["python"],
        "commit": commit(),
        "seeds": seeds,
    }
    return listed | {f"note {number}": note for number, note in enumerate(notes, 1)}


def commit() -> str:
    """The commit that was measured, and whether files differed from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return "unknown (not a git checkout)"
    changed = subprocess.run([*git, "status", "--porcelain", "src"], capture_output=True, text=True).stdout.strip()
    return head.stdout.strip() + (" with changes in src" if changed else "")


def write(name: str, text: str, rows: Sequence[Row], facts: dict[str, str], answers: dict[str, Any]) -> list[Path]:
    """Write docs/results/NAME.md and NAME.json; the JSON also holds every single answer."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    listed = [row._asdict() | {"ratio": row.ratio, "met": row.met} for row in rows]
    everything = {"table": name, "facts": facts, "rows": listed, "answers": answers}
    paths = [RESULTS / f"{name}.md", RESULTS / f"{name}.json"]
    paths[0].write_text(text, encoding="utf-8")
    paths[1].write_text(json.dumps(finite(everything), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return paths


def finite(tree: Any) -> Any:
    """JSON knows no infinity: `never` becomes null. Targets become readable."""
    if isinstance(tree, Target):
        return f"{tree.of} {tree.sense} {tree.value}"
    if isinstance(tree, dict):
        return {name: finite(value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [finite(value) for value in tree]
    return None if isinstance(tree, float) and tree in (float("inf"), float("-inf")) else tree
