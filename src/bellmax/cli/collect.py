"""`bellmax collect RUN --steps N --output FILE`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from bellmax.cli.find_run import find_run
from bellmax.cli.flags import Flag, RunName, parse


@dataclass(frozen=True)
class Collect:
    """Let a trained policy play, and write every step into a file to learn from with `bellmax train --data`."""

    run: RunName  # a run folder, the name of one in ./runs, or latest
    output: Annotated[str, arg(metavar="FILE")]  # a .npz or .parquet file
    steps: int = 100_000  # how many, in all environments together
    greedy: Flag = False  # exploit; by default it explores, as it did in training
    epsilon: float = 0.0  # how often it does anything at all instead
    seed: int = 0  # of everything that is drawn
    policy: int = 0  # the index of the seed of the run whose policy plays
    num_envs: int = 8  # environments side by side


def main(words: list[str]) -> None:
    """Collect, and say what there is."""
    asked = parse(Collect, words, "collect")
    from bellmax.data.collecting import collect

    found = collect(
        find_run(asked.run), asked.steps, asked.output, greedy=asked.greedy, epsilon=asked.epsilon,
        seed=asked.seed, policy=asked.policy, num_envs=asked.num_envs,
    )  # fmt: skip
    print(f"{found} -> {asked.output}")
