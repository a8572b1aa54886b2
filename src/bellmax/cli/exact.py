"""What `bellmax evaluate RUN --exact` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bellmax.exactness import Exactness, time_limit
from bellmax.report.wording import MISSING, aligned, figure

_ABOUT = (
    "Values are expected discounted returns of the greedy policy at the start. A gap is V* less the policy's value:",
    "the largest and the mean over the states that it or the best policy can come to.",
)


def said_exactly(run: Any, seeds: Sequence[int]) -> str:
    """How far the greedy policies of `seeds` are from the best one, a line each. Raises what `run.exact` raises."""
    found = {seed: run.exact(run.seeds.index(seed)) for seed in seeds}
    some = next(iter(found.values()))
    limit = time_limit(run.plan.env)
    where = f"{run.plan.algorithm_name} on {run.plan.env_name}"
    title = f"{where}, greedy, evaluated exactly with discount {some.gamma:g}"
    won = f"success in {limit:,} steps" if limit else "success"
    heading = ["seed", "value", "optimal", "largest gap", "mean gap", "largest error of Q", won]
    lines = [[str(seed), *_line(each)] for seed, each in found.items()]
    return "\n".join([title, "", aligned(heading, lines), "", *_ABOUT])


def _line(found: Exactness) -> list[str]:
    distance = MISSING if found.q_distance is None else figure(found.q_distance)
    success = MISSING if found.success is None else f"{found.success:.2%}".replace("%", " %")
    values = f"{found.start_value:.6f}", f"{found.optimal_start_value:.6f}"
    return [*values, _gap(found.max_gap), _gap(found.mean_gap), distance, success]


def _gap(gap: float) -> str:
    """A gap as small as rounding is none."""
    return "0" if abs(gap) < 1e-9 else figure(gap)
