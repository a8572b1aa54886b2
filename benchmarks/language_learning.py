"""Do the learners of language models learn? `python -m benchmarks.language_learning [ROW ...] [--seeds N]`

A model of 0.8 million weights is shown right answers to a built-in task until it can do some, and then learns from
rewards of its own answers with the recipe: 150 updates of 256 answers, in addition 300 of 512. The score is the share
of 256 held-out prompts that are answered rightly, greedily; the controls are the model before, and the same training
with rewards drawn by chance.
Results go to docs/results/language_learning_ROW.json as they come, all of them to docs/results/language_learning.md.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import bellmax as bm
from bellmax.alignment.engine import evaluate
from bellmax.report import write_result

RESULTS = Path("docs/results")
PROMPTS = 256  # held out
KL = 3.0  # nats an answer: what the controller is to hold


class Row(NamedTuple):
    """One line of the table."""

    algorithm: str
    task: str
    shown: int  # updates of supervised training before
    least: float  # see `goal`
    goal: str = "reaches"  # the share `least`; "gains" so much; "stays", gains less; "settles", within so much of `KL`
    how: Mapping[str, Any] = {}  # hyperparameters that are not the recipe's


SHOWN = {"reverse": (220, 0.95), "copy": (30, 0.95), "sort": (110, 0.95), "addition": (650, 0.9)}
ROWS = {
    f"{algorithm}-{task}": Row(algorithm, task, shown, least)
    for algorithm in ("grpo", "ppo-lm")
    for task, (shown, least) in SHOWN.items()
}
ROWS |= {f"{name}-shuffled": row._replace(least=0.05, goal="stays") for name, row in ROWS.items() if "rev" in name}
ROWS |= {f"{name}-reverse": Row(name, "reverse", 220, 0.05, "gains") for name in ("dpo", "orpo")}
ROWS["ppo-lm-controller"] = Row("ppo-lm", "reverse", 220, 0.1, "settles", {"target_kl": KL, "kl_weight": 0.5})
TARGETS = {"reaches": ">= {}", "gains": "gains >= {}", "stays": "gains < {}", "settles": f"KL of {KL} within {{:.0%}}"}


def by_chance(prompt: Any, completion: str, row: Any) -> float:
    """1 for three answers in ten, whatever they say: nothing can be learned from it."""
    return float(zlib.crc32(f"{prompt}|{completion}".encode()) % 10 < 3)


def measure(name: str, row: Row, seeds: int) -> dict[str, Any]:
    """Train and evaluate one row -> what the table shows of it."""
    before, after, seconds, strays = [], [], [], []
    for seed in range(seeds):
        common: dict[str, Any] = {"seed": seed, "run_folder": None, "display": "lines"}
        first = bm.align("sft", "tiny", row.task, steps=row.shown, **common)
        paid = {"reward": {"by chance": by_chance}} if row.goal == "stays" else {}
        run = bm.align(row.algorithm, first, row.task, hyperparameters=dict(row.how), **paid, **common)
        before.append(evaluate(first.plan, first.model, PROMPTS).mean)
        after.append(evaluate(first.plan, run.model, PROMPTS).mean)  # by what is right, whatever was paid for
        seconds.append(run.timing["run"])
        if row.goal == "settles":
            kl = [one["kl"] for one in run.metrics]
            strays.append(abs(float(np.mean(kl[-len(kl) // 3 :])) / KL - 1))  # of the last third of the run
    gained = float(np.median(after) - np.median(before))
    met = {
        "reaches": float(np.median(after)) >= row.least,
        "gains": gained >= row.least,
        "stays": gained < row.least,
        "settles": bool(strays) and max(strays) <= row.least,
    }
    ends = {"stays": ", rewards by chance", "settles": f", KL of the last third off by {max(strays, default=0):.1%}"}
    return {
        "what": f"{row.algorithm} on {row.task}" + ends.get(row.goal, ""),
        "updates": run.plan.steps,
        "seeds": "0" if seeds == 1 else f"0-{seeds - 1}",
        "before": " ".join(f"{x:.2f}" for x in before),
        "after": " ".join(f"{x:.2f}" for x in after),
        "target": TARGETS[row.goal].format(row.least),
        "met": bool(met[row.goal]),
        "seconds": round(float(np.mean(seconds))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="all, if none is named")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in chosen.rows or ROWS:
        result = measure(name, ROWS[name], chosen.seeds)
        (RESULTS / f"language_learning_{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(json.dumps(result))
    found = [RESULTS / f"language_learning_{name}.json" for name in ROWS]
    shown = [json.loads(path.read_text()) for path in found if path.exists()]
    columns = ["what", "updates", "seeds", "before", "after", "target", "met", "seconds"]
    notes = (__doc__ or "").split("\n\n")[1:]
    title, command = "Language models: what they learn", "python -m benchmarks.language_learning"
    write_result(RESULTS / "language_learning", title, shown, columns, notes, command=command)


if __name__ == "__main__":
    main()
