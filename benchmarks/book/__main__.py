"""The figures of Sutton & Barto's part I: `python -m benchmarks.book` computes them all, a section a process.

`python -m benchmarks.book control planning` computes some, prints them, and writes nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import machine, report
from benchmarks.book.claim import Claim
from benchmarks.process import ROOT

# In this order: bandits first and alone, because it times something; then two at a time, the longest first.
SECTIONS = {
    "bandits": "Bandits",
    "control": "Tabular control",
    "prediction": "Prediction",
    "planning": "Planning with tables",
    "dynamic_programming": "Dynamic programming",
    "approximation": "Linear function approximation",
}
ALONE = ("bandits",)
FIGURES = report.RESULTS / "book"
LIMIT = 900  # seconds a section may take before it counts as hung
COLUMNS = ("what", "measured", "published", "tolerance", "within?", "settings")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.book", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"some of {', '.join(SECTIONS)}; all if left out")
    parser.add_argument("--worker", metavar="FOLDER", help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    for name in asked.sections:
        if name not in SECTIONS:
            parser.error(f"there is no section {name!r}: choose from {', '.join(SECTIONS)}")
    if asked.worker:
        return work(asked.sections[0], Path(asked.worker))
    return lead(asked.sections or list(SECTIONS), write=not asked.sections)


def work(section: str, figures: Path) -> int:
    """One section, in a process of its own: its claims as JSON on the last line."""
    claims = importlib.import_module(f"benchmarks.book.{section}").claims(figures)
    print(json.dumps([claim._asdict() | {"passed": bool(claim.passed)} for claim in claims]))
    return 0


def lead(sections: list[str], write: bool) -> int:
    """All sections; the exit code is the number of claims that failed."""
    began, figures = time.perf_counter(), FIGURES if write else Path(tempfile.mkdtemp(prefix="book-"))
    found = {name: run(name, figures) for name in sections if name in ALONE}
    others = [name for name in sections if name not in ALONE]
    with ThreadPoolExecutor(2) as pool:
        found |= dict(zip(others, pool.map(lambda name: run(name, figures), others)))
    seconds = time.perf_counter() - began
    text = page(found, seconds)
    print(text)
    if write:
        (report.RESULTS / "book.md").write_text(text, encoding="utf-8")
        everything = {name: [claim._asdict() for claim in claims] for name, (claims, _) in found.items()}
        (report.RESULTS / "book.json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    else:
        print(f"figures are in {figures}")
    return sum(not claim.passed for claims, _ in found.values() for claim in claims)


def run(section: str, figures: Path) -> tuple[list[Claim], float]:
    """A section in a process of its own -> its claims, and the seconds it took."""
    began, folder = time.perf_counter(), figures / section
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.book", section, "--worker", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    seconds = time.perf_counter() - began
    print(f"{section}: {seconds:.0f} s", file=sys.stderr, flush=True)
    if done.returncode:
        failed = Claim(SECTIONS[section], "the section as a whole", done.stderr.strip().splitlines()[-1], "", "", False)
        return [failed], seconds
    return [Claim(**claim) for claim in json.loads(done.stdout.strip().splitlines()[-1])], seconds


def page(found: dict[str, tuple[list[Claim], float]], seconds: float) -> str:
    """The table of each section, and its figures."""
    everything = [claim for claims, _ in found.values() for claim in claims]
    passed = sum(claim.passed for claim in everything)
    lines = [
        "# The book's figures",
        "",
        "Sutton & Barto, Reinforcement Learning, 2nd edition, part I, computed by bellmax's own algorithms. "
        f"{passed} of {len(everything)} claims are within their tolerance.",
        "",
    ]
    for name, (claims, taken) in found.items():
        lines += [f"## {SECTIONS[name]}", "", f"{taken:.0f} s.", "", row(COLUMNS), row(["---"] * len(COLUMNS))]
        lines += [row(cells(claim)) for claim in claims]
        lines += ["", *(f"![{path.stem}](book/{name}/{path.name})" for path in pictures(name)), ""]
    lines += [f"* {name}: {fact}" for name, fact in facts(seconds).items()]
    return "\n".join(lines) + "\n"


def pictures(section: str) -> list[Path]:
    """The figures of a section."""
    return sorted((FIGURES / section).glob("*.png"))


def cells(claim: Claim) -> list[str]:
    verdict = "yes" if claim.passed else "**no**"
    return [claim.what, claim.measured, claim.reference, claim.tolerance, verdict, claim.command]


def row(cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def facts(seconds: float) -> dict[str, str]:
    """Everything needed to compute it again."""
    here = machine.describe()
    packages = ("bellmax", "jax", "numpy", "gymnasium")
    return {
        "command": "`python -m benchmarks.book`",
        "seconds in all": f"{seconds:.0f}, sections two at a time",
        "date": here["date"],
        "machine": f"{here['cpu']}, {here['cores']} cores, {here['memory_gib']} GiB, {here['system']}",
        "versions": ", ".join(f"{name} {version(name)}" for name in packages),
        "commit": report.commit(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
