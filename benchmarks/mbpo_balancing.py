"""How many steps until the pole stands: `python -m benchmarks.mbpo_balancing [ROW ...] [--seeds N]`

MBPO, and SAC, its learner, alone, each with its recipe for InvertedPendulum-v4, which pays 1 a step, for 1,000 at most.
Every 250 steps 10 greedy episodes are played; a row stops at the first mean of 950 or more, and says how many real
steps that took, or that it was never reached within `--most` steps. "learner" is the SAC within MBPO's recipe without
MBPO: smaller layers, and as many updates a step as MBPO has, 10 where SAC's recipe has one. What it gains on SAC is
gained by learning oftener, and what MBPO gains on it by the models.

Seconds are of the processor, with one thread: others used the machine. Every seed is written down as it comes; the
means on the way are in the .json. The recipe of MBPO was tried on seed 0 before; nothing was tuned after that.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bellmax.compilation import use_cache
from bellmax.drivers import hosted
from bellmax.engine import env_seed, evaluate_policy
from bellmax.envs.names import find
from bellmax.recipes import find as find_recipe
from benchmarks.rows import Row, keep, known

RESULTS = Path("docs/results/mbpo_balancing")
COMMAND = "python -m benchmarks.mbpo_balancing"
ENV, EVERY, EPISODES, SOLVED, FACTOR = "InvertedPendulum-v4", 250, 10, 950, 3
NAMES = ("mbpo", "sac", "learner")
COLUMNS = {
    "what": "what",
    "steps": f"steps to a greedy mean of {SOLVED}",
    "seconds": "seconds of the processor",
    "wanted": "wanted",
    "met": "met",
}


def balanced(name: str, seed: int, most: int) -> Row:
    """Train until it stands, or for `most` steps -> a line of the table."""
    algorithm, source, began = chosen(name), find(ENV), time.process_time()
    envs, curve = source.vector(1, env_seed(seed, 0)), []
    drive = hosted.Drive(algorithm, envs, jax.random.key(seed))
    while len(curve) * EVERY < most and not (curve and curve[-1] >= SOLVED):
        drive.advance(2**31 - 1, EVERY)
        mean = evaluate_policy(algorithm, source, drive.state, seed=seed, episodes=EPISODES).mean
        curve.append(round(mean, 1))
        print(f"{name}, seed {seed}, {len(curve) * EVERY} steps: {mean:.1f}", flush=True)
    envs.close()
    steps = len(curve) * EVERY if curve[-1] >= SOLVED else None
    row = {"what": f"{name}, seed {seed}", "steps": f"> {most}" if steps is None else steps, "curve": curve}
    return row | {"seconds": round(time.process_time() - began), "most": most, "seeds": [seed]}


def chosen(name: str) -> Any:
    """The algorithm of a row."""
    recipe = find_recipe("mbpo" if name == "learner" else name, ENV)
    assert recipe is not None
    return recipe.algorithm.learner if name == "learner" else recipe.algorithm  # type: ignore[attr-defined]


def compared(table: dict[str, Row], other: str) -> list[Row]:
    """By which factor MBPO needs fewer steps, of the seeds that both have; a seed that never stood counts as `most`."""
    ours, theirs = ({row["seeds"][0]: _steps(row) for row in table.values() if _is(row, n)} for n in ("mbpo", other))
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        return []
    ratio = float(np.mean([theirs[s] for s in both]) / np.mean([ours[s] for s in both]))
    row = {"what": f"mean of {other} over mean of mbpo, {len(both)} seeds", "steps": round(ratio, 2), "seeds": both}
    return [row | ({"wanted": f">= {FACTOR}", "met": ratio >= FACTOR} if other == "sac" else {})]


def _steps(row: Row) -> int:
    return row["steps"] if isinstance(row["steps"], int) else row["most"]


def _is(row: Row, name: str) -> bool:
    return row["what"].startswith(f"{name},")


def main() -> None:
    """All rows, or those that are named; a row that was measured before is kept until it is measured again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[[], *NAMES])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--most", type=int, default=20_000, help="steps")
    parser.add_argument("--quick", action="store_true", help="write nothing")
    asked = parser.parse_args()
    use_cache()
    for seed in range(asked.first, asked.first + asked.seeds):
        for name in asked.rows or NAMES:
            row = balanced(name, seed, asked.most)
            print(row, flush=True)
            if asked.quick:
                continue
            table = known(RESULTS, "what") | {row["what"]: row}
            table = {what: table[what] for what in sorted(table) if " over " not in what}
            table |= {last["what"]: last for other in NAMES[1:] for last in compared(table, other)}
            keep(RESULTS, "The steps that MBPO saves", table, table, COLUMNS, __doc__, COMMAND)


if __name__ == "__main__":
    main()
