"""Exact solvers beside SciPy and Numba: `python -m benchmarks.exact`.

Parts: sweep (one sweep of value iteration on a slippery grid of a million states), solution (the whole of it, to the
same stated accuracy), large (ten million states), tabular (learning with tables). `--only PART...` and `--quick` print
their rows and write nothing: only the whole table goes to docs/results.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import exact_tables, ours_exact, process, report
from benchmarks.ours import COLD
from benchmarks.peers import Peer, ask
from benchmarks.process import Answer, alone, interleave, measure, say
from benchmarks.report import Row, Target

TITLE = "Exact solvers: value iteration on slippery grids"
SCIPY = Peer("SciPy CSR", "numba", {"one core": {}})  # SciPy's sparse products use no more
NUMBA = Peer("Numba, parallel", "numba", {"all cores": {}})
SCRIPT = "numba_sweeps"
NOTES = (
    "the model is `bellmax.mdp.slippery_grid`: 4 actions x 3 successors, random chances and costs, float32, gamma .99, "
    "one absorbing goal in 10,000 cells; peers read the same arrays from a file",
    "bellmax's sweep is timed inside the solver's loop, residual and bound included; the peers' without either",
    "Numba's loop has its sizes compiled in and is timed on both orders of the arrays, the faster counts",
    "reading speed is that of a parallel sum over the probabilities, by XLA; bellmax's sweep reads no successors here "
    "(they are shifts), so the row without a target is the stricter one: it counts only what the sweep reads",
    "SciPy's solution is plain value iteration until gamma / (1 - gamma) times the residual is at most the tolerance; "
    "bellmax's bound is proven in float64; making the matrix, respectively preparing the model, is part of the time",
    "memory is the process's largest resident size, the model's own included",
)


class Plan(NamedTuple):
    """How much is measured."""

    rows: int = 1000
    columns: int = 1000
    large: int = 3163  # rows and columns: a little over ten million states
    tolerance: float = 0.02
    large_tolerance: float = 0.05
    repeats: int = 3
    calls: int = 15
    gamma: float = 0.99
    table_steps: int = 50_000_000

    def job(self, **more: Any) -> Answer:
        return {"rows": self.rows, "columns": self.columns, "gamma": self.gamma, "seed": 0, "calls": self.calls} | more


QUICK = Plan(rows=300, columns=300, large=1000, repeats=1, calls=5, table_steps=1_000_000)
Answers = dict[str, list[Answer]]
Measured = tuple[list[Row], Answers]


def sweep(plan: Plan) -> Measured:
    """Sweeps a second, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        job = plan.job(model=f"{folder}/model.npz")
        ours(job | {"what": "model"})
        answers = interleave(
            {
                "bellmax": lambda repeat: ours(job | {"what": "sweep"}),
                SCIPY.title: lambda repeat: ask(SCIPY, SCRIPT, job | {"what": "scipy"}, "one core"),
                NUMBA.title: lambda repeat: ask(NUMBA, SCRIPT, job | {"what": "numba"}, "all cores"),
            },
            plan.repeats,
        )
    agree([found["check"] for of in answers.values() for found in of])
    what = f"a sweep over {plan.rows * plan.columns:,} states"
    speeds = {name: [1 / found["seconds_per_sweep"] for found in of] for name, of in answers.items()}
    mine = answers["bellmax"]
    rows = [
        Row(what, speeds["bellmax"], "sweeps/s", speeds[peer.title], peer.title, Target("ratio", ">=", least))
        for peer, least in ((SCIPY, 3), (NUMBA, 1.3))
    ]
    time = [1e3 * found["seconds_per_sweep"] for found in mine]
    for name, target in (("read the model", Target("ratio", "<=", 2)), ("read what a sweep reads", None)):
        reading = [1e3 * found[f"seconds_to_{name.replace(' ', '_')}"] for found in mine]
        rows.append(Row(f"{what}, beside the time to {name} once", time, "ms", reading, "reading", target))
    rows.append(Row("memory is read at", [found["gigabytes_per_second"] for found in mine], "GB/s"))
    return rows, answers


def agree(checks: list[float]) -> None:
    """All contestants swept the same model."""
    if max(checks) - min(checks) > 1e-4 * abs(checks[0]):
        raise RuntimeError(f"the contestants' sweeps do not agree: mean values {checks}; nothing was compared")


def solution(plan: Plan) -> Measured:
    """The whole solution to the same stated accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        job = plan.job(model=f"{folder}/model.npz", tolerance=plan.tolerance)
        ours(job | {"what": "model"})
        mine, theirs = f"{folder}/bellmax.npy", f"{folder}/scipy.npy"
        whole = job | {"what": "scipy solution", "values": theirs}
        answers = interleave(
            {
                "bellmax": lambda repeat: ours(job | {"what": "solution", "solves": 2, "values": mine}),
                SCIPY.title: lambda repeat: ask(SCIPY, SCRIPT, whole, "one core"),
            },
            plan.repeats,
        )
        apart = float(np.abs(np.load(mine) - np.load(theirs)).max())
    what = f"{plan.rows * plan.columns:,} states solved to {plan.tolerance:g}"
    title = f"plain value iteration, {SCIPY.title}"
    slow = [60 / found["seconds"] for found in answers[SCIPY.title]]
    rows = []
    for name, target in (("seconds", Target("ratio", ">=", 10)), ("seconds_with_compiling", None)):
        mine_too = [60 / found[name] for found in answers["bellmax"]]
        label = what if name == "seconds" else f"{what}, compiling included"
        rows.append(Row(label, mine_too, "a minute", slow, title, target))
    sweeps = {name: [found["sweeps"] for found in of] for name, of in answers.items()}
    rows.append(Row(f"{what}: sweeps", sweeps["bellmax"], "", sweeps[SCIPY.title], title))
    rows.append(Row(f"{what}: proven bound", [found["bound"] for found in answers["bellmax"]],
                    target=Target("bellmax", "<=", plan.tolerance)))  # fmt: skip
    rows.append(Row("largest difference between the two solutions", [apart],
                    target=Target("bellmax", "<=", 2 * plan.tolerance)))  # fmt: skip
    return rows, answers


def large(plan: Plan) -> Measured:
    """A model of ten million states, once."""
    size = {"rows": plan.large, "columns": plan.large}
    job = plan.job(what="solution", solves=1, tolerance=plan.large_tolerance, **size)
    found = ours(job, limit=3000)
    what = f"{plan.large**2:,} states solved to {plan.large_tolerance:g}"
    limit = Target("bellmax", "<=", 24)
    said = Row(f"{what}: memory said before", [found["gigabytes_said"]], "GB", target=limit)
    rows = [
        said,
        Row(f"{what}: largest memory", [found["gigabytes_at_most"]], "GB", said.bellmax, "said before", limit),
        Row(f"{what}: proven bound", [found["bound"]], target=Target("bellmax", "<=", plan.large_tolerance)),
        Row(f"{what}: time", [found["seconds"]], "s"),
    ]
    return rows, {"large": [found]}


def tabular(plan: Plan) -> Measured:
    """Learning with tables."""
    return exact_tables.tabular(plan.table_steps, plan.repeats)


def ours(job: Answer, limit: float = 1200) -> Answer:
    return measure(ours_exact.COMMAND, job, COLD, limit=limit)


PARTS = {part.__name__: part for part in (sweep, solution, large, tabular)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure these parts alone")
    parser.add_argument("--quick", action="store_true", help="a rehearsal: small models, no waiting for quiet")
    chosen = parser.parse_args()
    plan = QUICK if chosen.quick else Plan()
    process.patience = process.Patience(0, 1) if chosen.quick else process.Patience()
    rows: list[Row] = []
    answers: dict[str, Any] = {}
    with alone():
        for name in chosen.only:
            say(f"{name}:")
            more, found = PARTS[name](plan)
            rows += more
            answers |= {f"{name}: {what}": of for what, of in found.items()}
    say("")
    conclude(rows, answers, whole=not chosen.quick and set(chosen.only) == set(PARTS))


def conclude(rows: list[Row], answers: dict[str, Any], *, whole: bool) -> None:
    """Print the table; a whole one is also written."""
    command = " ".join(["python -m benchmarks.exact", *sys.argv[1:]])
    listed = [answer for of in answers.values() for answer in of]
    known = report.facts(command, "the model's is 0; nothing else is random", listed, NOTES)
    text = report.markdown(TITLE, rows, known)
    print(text)
    if whole:
        for path in report.write("exact", text, rows, known, answers):
            say(f"wrote {Path(path).relative_to(report.ROOT)}")


if __name__ == "__main__":
    main()
