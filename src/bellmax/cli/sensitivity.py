"""`bellmax sensitivity RUN --over NAME=A,B,..`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import UseAppendAction, arg

from bellmax.cli.find_run import find_run
from bellmax.cli.flags import Flag, PlotPath, RunName, parse
from bellmax.compilation import use_cache
from bellmax.loading import load
from bellmax.reality.sensitivity import sensitivity


@dataclass(frozen=True)
class Sensitivity:
    """Play with a trained policy where the physics are others, at every point of a grid."""

    run: RunName  # a run folder, the name of one in ./runs, or latest
    over: Annotated[tuple[str, ...], UseAppendAction, arg(metavar="NAME=A,B,..")] = ()  # a parameter and its values
    episodes: int = 20  # at each point, for each seed
    sampled: Flag = False  # explore, instead of taking the best action
    checkpoint: str | None = None  # the file to read, if not the latest
    plot: PlotPath = None
    json: Flag = False  # print a line of JSON for each point


def main(words: list[str]) -> None:
    """Play, and print the table."""
    asked = parse(Sensitivity, words, "sensitivity")
    over = dict(values_of(text) for text in asked.over)
    if not over:
        raise ValueError("what should be others? Give --over NAME=A,B,.., such as --over gravity=9,10,11.")
    use_cache()
    where = find_run(asked.run)
    run = load(where, checkpoint=asked.checkpoint)
    found = sensitivity(run, over, episodes=asked.episodes, greedy=not asked.sampled)
    if asked.json:
        for row in found.rows():
            print(json.dumps(row))
    else:
        seeds = f"{len(run.seeds)} seed{'s' * (len(run.seeds) > 1)}"
        print(f"{run.plan.algorithm_name} on {run.plan.env_name}, {asked.episodes} episodes at each point, {seeds}\n")
        print(found.table())
    if asked.plot is not None:
        title = f"{run.plan.algorithm_name} on {run.plan.env_name}"
        path = found.plot(asked.plot or where / "sensitivity.png", title=title)
        if not asked.json:
            print(f"\ndrew {path}")


def values_of(text: str) -> tuple[str, list[float]]:
    """ "gravity=9,10" -> ("gravity", [9.0, 10.0]). Raises ValueError."""
    name, _, values = text.rpartition("=")
    try:
        numbers = [float(value) for value in values.split(",")]
    except ValueError:
        numbers = []
    if not name or not numbers:
        raise ValueError(f"--over {text}: write NAME=A,B,.., such as --over gravity=9,10,11.")
    return name, numbers
