"""`bellmax watch RUN`."""

from __future__ import annotations

from dataclasses import dataclass

from bellmax.cli.evaluate import chosen
from bellmax.cli.find_run import find_run
from bellmax.cli.flags import Flag, RunName, parse
from bellmax.loading import load


@dataclass(frozen=True)
class Watch:
    """See a trained policy play, on the screen or in a film."""

    run: RunName  # a run folder, the name of one in ./runs, or latest
    output: str | None = None  # film.mp4 or film.gif, instead of the screen; with --imagined .png too
    episodes: int = 1  # one after the other
    seed: int | None = None  # which of the run's seeds; the first if left out
    checkpoint: str | None = None  # the file to read, if not the latest
    sampled: Flag = False  # explore, instead of taking the best action
    imagined: Flag = False  # beside what happens, what the algorithm's model of the world imagines
    context: int = 5  # steps of an episode before it does
    horizon: int = 15  # steps that it imagines


def main(words: list[str]) -> None:
    """Show a run's policy, or film it."""
    asked = parse(Watch, words, "watch")
    run = load(find_run(asked.run), checkpoint=asked.checkpoint)
    index = 0 if asked.seed is None else run.seeds.index(chosen(run, asked.seed))
    how = {"episodes": asked.episodes, "seed": index, "greedy": not asked.sampled}
    if asked.imagined:
        print(run.imagined(asked.output, **how, context=asked.context, horizon=asked.horizon).table())
    else:
        run.watch(asked.output, **how)
    if asked.output is not None:
        print(f"wrote {asked.output}")
