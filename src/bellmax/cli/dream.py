"""`bellmax dream RUN`."""

from __future__ import annotations

from dataclasses import dataclass

from bellmax.cli.find_run import find_run
from bellmax.cli.flags import Flag, RunName, parse
from bellmax.dreaming import dream
from bellmax.foreseeing import foresee
from bellmax.loading import load

APART = ("run", "foresee", "z_alone", "episodes")  # what `dream` is not told


@dataclass(frozen=True)
class Dream:
    """Find controllers for a run of world-models, by CMA-ES in the dream that it has learned; they go into the run."""

    run: RunName  # a run folder, the name of one in ./runs, or latest
    foresee: int = 3000  # updates of the memory before, from what the run has stored; 0: it stays as it is
    generations: int = 60  # of CMA-ES
    population: int = 32  # controllers in a generation
    rollouts: int = 16  # dreams that each is judged by
    length: int = 200  # steps of a dream
    temperature: float = 1.0  # how uncertain the dream is
    deviation: float = 0.5  # of the weights that the search begins with
    z_alone: Flag = False  # controllers see z without h
    episodes: int = 100  # played afterwards, in the real environment


def main(words: list[str]) -> None:
    """Dream, and say what came of it."""
    asked = parse(Dream, words, "dream")
    settings = {name: value for name, value in vars(asked).items() if name not in APART}
    run = load(find_run(asked.run))
    if asked.foresee:
        run, losses = foresee(run, updates=asked.foresee)
        print(", ".join(f"{name} {value:.3g}" for name, value in losses.items()))
    run = dream(run, **settings, remembers=not asked.z_alone)
    for seed in run.seeds:
        played = run.evaluate(asked.episodes, seed=run.seeds.index(seed))
        print(f"seed {seed}: {played.mean:.4g} in the real environment, the mean of {asked.episodes} episodes")
