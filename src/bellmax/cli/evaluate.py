"""`bellmax evaluate RUN`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bellmax.cli.find_run import find_run
from bellmax.cli.flags import Flag, RunName, parse
from bellmax.loading import load
from bellmax.report.wording import aligned, figure


@dataclass(frozen=True)
class Evaluate:
    """Play whole episodes with a trained policy, in fresh environments."""

    run: RunName  # a run folder, the name of one in ./runs, or latest
    episodes: int = 100  # for each seed
    sampled: Flag = False  # explore, instead of taking the best action
    seed: int | None = None  # only this one of the run's seeds
    checkpoint: str | None = None  # the file to read, if not the latest
    exact: Flag = False  # play nothing: compute what the greedy policy is worth, where all that can happen is known


def main(words: list[str]) -> None:
    """Say how good a run's policies are."""
    asked = parse(Evaluate, words, "evaluate")
    run = load(find_run(asked.run), checkpoint=asked.checkpoint)
    seeds = run.seeds if asked.seed is None else [chosen(run, asked.seed)]
    if asked.exact:
        from bellmax.cli.exact import said_exactly

        print(said_exactly(run, seeds))
        return
    outcomes = {
        seed: run.evaluate(asked.episodes, greedy=not asked.sampled, seed=run.seeds.index(seed)) for seed in seeds
    }
    print(said(run, outcomes, asked))


def chosen(run: Any, seed: int) -> int:
    """The seed, if the run has it. Raises ValueError."""
    if seed not in run.seeds:
        raise ValueError(f"--seed {seed}: give one of the run's seeds, {', '.join(map(str, run.seeds))}.")
    return seed


def said(run: Any, outcomes: dict[int, Any], asked: Evaluate) -> str:
    """The outcome in words: of one seed over its episodes, of several over the seeds, each in a line."""
    policy = "sampled" if asked.sampled else "greedy"
    steps = dict(zip(run.seeds, run.meta["taken"]))
    title = f"{run.plan.algorithm_name} on {run.plan.env_name}, {asked.episodes} {policy} episodes"
    trained = {f"{steps[seed]:,}" for seed in outcomes}
    lines = [f"{title}{' each' * (len(outcomes) > 1)}, trained for {' to '.join(sorted(trained, key=len))} steps", ""]
    heading = ["seed", "mean", "95% interval", "std", "min", "max", "length"]
    lines.append(aligned(heading, [_line(str(seed), outcome) for seed, outcome in outcomes.items()]))
    if len(outcomes) > 1:
        means = np.array([outcome.mean for outcome in outcomes.values()])
        lines += ["", f"mean over seeds {figure(means.mean())}, 95% interval {_interval(means)}"]
    cut = sum(int(np.sum(outcome.cut)) for outcome in outcomes.values())
    lines += ["", f"{cut} episodes did not end and were cut: their scores are only a part."] if cut else []
    return "\n".join(lines)


def _line(name: str, outcome: Any) -> list[str]:
    scores = outcome.scores
    numbers = scores.std(ddof=1) if len(scores) > 1 else math.nan, scores.min(), scores.max(), outcome.lengths.mean()
    return [name, figure(outcome.mean), _interval(scores), *(figure(float(number)) for number in numbers)]


def _interval(values: np.ndarray) -> str:
    """The bootstrap interval of the mean."""
    from bellmax.report import bootstrap_interval

    low, high = bootstrap_interval(values, np.mean)
    return "-" if math.isnan(low) else f"[{figure(low)}, {figure(high)}]"
