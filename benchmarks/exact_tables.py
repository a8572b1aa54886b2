"""The part of `benchmarks.exact` that times learning with tables."""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks import ours_tables
from benchmarks.ours import COLD
from benchmarks.peers import Peer, ask
from benchmarks.process import Answer, interleave, measure
from benchmarks.report import Row, Target

NUMBA = Peer("Numba, one core", "numba", {"one core": {}})
LOOP = "plain Python and Gymnasium"
ONE, TOGETHER = "one table", "1,024 tables together"


def tabular(steps: int, repeats: int) -> tuple[list[Row], dict[str, list[Answer]]]:
    """Q-learning on FrozenLake: one table and 1,024, beside a loop in Python and one in Numba."""
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/lake.npz"
        ours({"what": "model", "model": model})
        many = {"what": "fleet", "world": "model", "steps": steps // 500, "seeds": list(range(1024))}
        answers = interleave(
            {
                ONE: lambda repeat: ours({"what": "tables", "world": "model", "steps": steps, "seeds": [repeat]}),
                "own lake": lambda repeat: ours({"what": "tables", "world": "own", "steps": steps, "seeds": [repeat]}),
                TOGETHER: lambda repeat: ours(many),
                LOOP: lambda repeat: ours({"what": "python", "steps": steps // 200, "seed": repeat}),
                NUMBA.title: lambda repeat: ask(
                    NUMBA, "numba_tables", {"model": model, "steps": steps, "seed": repeat}, "one core"
                ),
            },
            repeats,
        )
    speed = {name: [found["steps_per_second"] for found in of] for name, of in answers.items()}
    what, unit = "Q-learning on FrozenLake", "steps/s"
    rows = [
        Row(f"{what}, {ONE}", speed[ONE], unit, speed[LOOP], LOOP, Target("ratio", ">=", 100)),
        Row(f"{what}, {ONE}", speed[ONE], unit, speed[NUMBA.title], NUMBA.title, Target("ratio", ">=", 0.5)),
        Row(f"{what}, {TOGETHER}", speed[TOGETHER], unit, speed[LOOP], LOOP, Target("ratio", ">=", 200)),
        Row(f"{what}, bellmax:FrozenLake, {ONE}", speed["own lake"], unit, speed[LOOP], LOOP),
    ]
    return rows, answers


def ours(job: dict[str, Any]) -> Answer:
    return measure(ours_tables.COMMAND, job, COLD, limit=600)
