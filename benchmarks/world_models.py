"""Can a controller learn in a dream alone? `python -m benchmarks.world_models [--seeds N] [--generations N]`

World Models on CartPole as pictures of 32 x 32: random actions look around for 10,000 steps, V learns from them (the
recipe), M from what V made of them, and CMA-ES finds a linear controller in the dream, which is then played in the real
environment, 100 episodes. It is to reach 150 of 500, and to beat the control, a controller that was found in the same
way and sees z without h: speeds are not in the picture.

Scores are the means of single seeds; the row's result is the mean over the seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import bellmax as bm
from bellmax.envs import PixelCartPole

RESULTS = Path("docs/results/world_models")
WANTED, EPISODES = 150.0, 100
ROWS = {"C on z and h": True, "C on z alone (control)": False}
COLUMNS = {"row": "controller", "result": "mean score", "each": "each seed", "wanted": "wanted", "met": "met"}


def scores(seed: int, generations: int, temperature: float) -> dict[str, float]:
    """The real score of each row for one seed."""
    began = time.perf_counter()
    run = bm.train("world-models", PixelCartPole(), seeds=[seed], run_folder=None, display="quiet")
    run, losses = bm.foresee(run)
    found = {"seconds": time.perf_counter() - began}
    print(f"seed {seed}: {losses}", flush=True)
    for row, remembers in ROWS.items():
        dreamt = bm.dream(run, generations=generations, temperature=temperature, remembers=remembers)
        found[row] = dreamt.evaluate(EPISODES).mean
        print(f"seed {seed}, {row}: {found[row]:.1f}", flush=True)
    return found


def table(each: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """The rows of the page from the scores by seed."""
    means = {row: sum(found[row] for found in each.values()) / len(each) for row in ROWS}
    best = means["C on z and h"]
    wanted = {"C on z and h": f">= {WANTED:.0f}", "C on z alone (control)": "below z and h"}
    met = {"C on z and h": best >= WANTED, "C on z alone (control)": means["C on z alone (control)"] < best}
    return [
        {
            "row": row,
            "result": f"{means[row]:.0f}",
            "each": ", ".join(f"{found[row]:.0f}" for found in each.values()),
            "wanted": wanted[row],
            "met": bool(met[row]),
            "seeds": [int(seed) for seed in each],
            "scores": {seed: found[row] for seed, found in each.items()},
            "training_seconds": {seed: round(found["seconds"], 1) for seed, found in each.items()},
        }
        for row in ROWS
    ]


def main() -> None:
    """Measure seed by seed, and write the page after each; seeds that it has already stay."""
    from bellmax.report import write_result

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--generations", type=int, default=60, help="of CMA-ES")
    parser.add_argument("--temperature", type=float, default=1.0, help="of the dream")
    asked = parser.parse_args()
    command = f"python -m benchmarks.world_models --generations {asked.generations} --temperature {asked.temperature:g}"
    each = known(command)
    for seed in range(asked.seeds):
        if str(seed) not in each:
            each[str(seed)] = scores(seed, asked.generations, asked.temperature)
        notes = [" ".join(part.split()) for part in __doc__.split("\n\n")[1:]]
        write_result(RESULTS, "World Models", table(each), COLUMNS, notes, command=command)


def known(command: str) -> dict[str, dict[str, float]]:
    """The scores of seeds that this command has measured before."""
    path = RESULTS.with_suffix(".json")
    if not path.exists() or json.loads(path.read_text()).get("command") != command:
        return {}
    rows = json.loads(path.read_text())["rows"]
    took = rows[0]["training_seconds"]
    return {seed: {row["row"]: row["scores"][seed] for row in rows} | {"seconds": took[seed]} for seed in took}


if __name__ == "__main__":
    main()
