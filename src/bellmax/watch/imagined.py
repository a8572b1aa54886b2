"""A model of the world watched at its work: what it imagines beside what happens, and how far apart the two are."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bellmax.catalogue import algorithm_name
from bellmax.core import Algorithm
from bellmax.models import Foresees
from bellmax.runs.disk import explained, make_folder
from bellmax.watch.beside import film, stacked, still
from bellmax.watch.film import CannotWatch, check_path, write
from bellmax.watch.foresight import Foresight, check_asked, compare, summed_up, too_short
from bellmax.watch.playing import play
from bellmax.watch.showing import shown, stage_of, unlit, unseen
from bellmax.watch.window import Window, has_display

STEPS_A_SECOND = 4.0  # slow enough to look at two pictures


def imagined(
    algorithm: Algorithm,
    state: Any,
    env: Any,
    path: str | Path | None = None,
    episodes: int = 1,
    seed: int = 0,
    greedy: bool = True,
    fps: float = STEPS_A_SECOND,
    most_steps: int = 500,
    context: int = 5,
    horizon: int = 15,
) -> Foresight:
    """What the algorithm's model imagines beside what happened -> mean squared errors by steps ahead.

    The policy plays; from the moment behind `context` steps on the model is told the actions that were taken, and shown
    nothing. To be seen are the next `horizon` steps of each of the `episodes`; the errors are those of up to 100 such
    starts in each, all behind its first `context` steps. What is imagined is drawn from the model once, not averaged.

    path        a .gif, .mp4 or .png, in which some moments stand in a row; without one, a window if there is a display
    most_steps  longer episodes are cut

    Raises CannotWatch where the algorithm has no model or there is nothing to see, MissingDependency, ValueError.
    """
    check_model(algorithm)
    check_asked(context, horizon)
    if episodes < 1 or not fps > 0:
        raise ValueError(f"episodes = {episodes} and fps = {fps}: at least 1, and more than 0.")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    path = None if path is None else Path(path)
    if path is not None and path.suffix.lower() != ".png":
        check_path(path)
    world, seen = shown(env), path is not None or has_display()
    with unseen(path), contextlib.closing(stage_of(world, seed, True) if seen else unlit(world, seed)) as stage:
        moments = play(algorithm, state, stage, episodes=episodes, seed=seed, greedy=greedy, most_steps=most_steps)
        played = [list(part) for _, part in itertools.groupby(moments, lambda moment: moment.episode)]
        long_enough = [episode for episode in played if len(episode) > context + 1]
        if not long_enough:
            raise too_short(context)
        told = [compare(algorithm, state, each, stage.obs, context, horizon, seed) for each in long_enough]
        if path is not None and path.suffix.lower() == ".png":
            _save(path, [still(stretch, stage) for stretch, _ in told])
        elif path is not None:
            write(path, itertools.chain.from_iterable(film(stretch, stage) for stretch, _ in told), fps)
        elif seen:
            _window(itertools.chain.from_iterable(film(stretch, stage) for stretch, _ in told), stage.name, fps)
    return summed_up([errors for _, errors in told])._replace(path=path)


def check_model(algorithm: Algorithm) -> None:
    """CannotWatch unless the algorithm can be asked what it foresees."""
    if isinstance(algorithm, Foresees):
        return
    name, inner = algorithm_name(type(algorithm)), getattr(algorithm, "inner", None)
    if isinstance(inner, Foresees):
        raise CannotWatch(
            f"the model of {algorithm_name(type(inner))} is of what {name} shows it, not of the world: watch without "
            f"--imagined, or train without {name}."
        )
    raise CannotWatch(
        f"{algorithm_name(type(inner or algorithm))} has no model of the world: watch without --imagined."
    )


def _save(path: Path, pictures: list[np.ndarray]) -> None:
    make_folder(path.parent, parents=True)
    with explained(path):
        Image.fromarray(stacked(pictures)).save(path)


def _window(pictures: Iterator[np.ndarray], name: str, fps: float) -> None:
    with contextlib.closing(Window(f"bellmax: {name}, imagined", fps)) as window:
        for picture in pictures:
            if not window.show(picture):
                return
