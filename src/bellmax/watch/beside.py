"""What happened beside what was imagined: the pictures of a film, or all of it in one."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np
from PIL import Image

from bellmax.spaces import is_image
from bellmax.watch.caption import PAPER, strip
from bellmax.watch.foresight import Stretch
from bellmax.watch.panel import Panel
from bellmax.watch.stages import Stage

SIDE = 288  # pixels: the height of the pictures in a film
SMALL = 128  # and in a still
PANEL = 480, SIDE  # width and height of the curves
GAP = 4  # pixels between two pictures
MOST = 7  # moments in a still, behind the first


def film(stretch: Stretch, stage: Stage) -> Iterator[np.ndarray]:
    """A picture for every moment of a stretch, uint8 [height, width, 3], all alike."""
    shows = list(_columns(stretch, stage))
    curves = Panel(stretch, stage.obs, PANEL) if _has_curves(stretch, stage) else None
    for step in range(len(stretch.moments)):
        columns = [_titled(name, each) for name, each in zip(shows, _pictures(stretch, stage, step, SIDE))]
        if curves is not None:
            columns.append(_titled("observations and rewards", curves.at(step)))
        whole = _side_by_side(columns)
        yield np.concatenate([whole, strip(_line(stretch, step), whole.shape[1], 13)])


def still(stretch: Stretch, stage: Stage) -> np.ndarray:
    """Some moments of a stretch in a row, the last look first: uint8 [height, width, 3]."""
    ahead = len(stretch.moments) - 1 - stretch.context
    chosen = sorted({0, *(round(x) for x in np.linspace(1, ahead, MOST))})
    pictures = [_pictures(stretch, stage, stretch.context + n, SMALL) for n in chosen]
    heads = [strip("now" if n == 0 else f"{n} ahead", pictures[0][0].shape[1], 11) for n in chosen]
    rows = [_side_by_side(heads)]
    for index, name in enumerate(_columns(stretch, stage)):
        row = _side_by_side([each[index] for each in pictures])
        rows += [strip(name, row.shape[1], 11), row]
    if _has_curves(stretch, stage):
        curves = Panel(stretch, stage.obs, (rows[0].shape[1], 360)).at(len(stretch.moments) - 1)
        rows += [strip("observations and rewards", curves.shape[1], 11), curves]
    return np.concatenate(rows)


def stacked(pictures: list[np.ndarray]) -> np.ndarray:
    """One below the other, on paper where one is narrower than others."""
    turned = _side_by_side([picture.swapaxes(0, 1) for picture in pictures])
    return turned.swapaxes(0, 1)


def _has_curves(stretch: Stretch, stage: Stage) -> bool:
    """Are pictures not enough?"""
    return not is_image(stage.obs) or stretch.foreseen.obs is None


def _columns(stretch: Stretch, stage: Stage) -> list[str]:
    """What the pictures of a moment show."""
    if stage.drawn(stretch.moments[0].obs) is None or stretch.foreseen.obs is None:
        return ["real"]
    return ["real", "imagined", "difference"] if is_image(stage.obs) else ["real", "imagined"]


def _pictures(stretch: Stretch, stage: Stage, step: int, height: int) -> list[np.ndarray]:
    """Those of a moment, as `_columns` says; before the last look and at it nothing is imagined."""
    moment, ahead, names = stretch.moments[step], step - stretch.context, _columns(stretch, stage)
    drawn = stage.drawn(moment.obs)
    real = moment.picture if drawn is None else drawn
    assert real is not None
    if len(names) == 1:
        return [_tall(real, height)]
    nothing = np.full_like(real, PAPER)
    if ahead < 1:
        return [_tall(each, height) for each in [real, nothing, nothing][: len(names)]]
    said = stage.drawn(jax.tree.map(lambda x: x[ahead - 1], stretch.foreseen.obs))
    assert said is not None
    apart = np.abs(real.astype(int) - said).astype(np.uint8)
    return [_tall(each, height) for each in [real, said, apart][: len(names)]]


def _line(stretch: Stretch, step: int) -> str:
    """What is written below a moment."""
    moment, ahead = stretch.moments[step], step - stretch.context
    where = f"episode {moment.episode + 1}   step {moment.step}"
    if ahead < 1:
        return f"{where}   {'the last look' if ahead == 0 else 'the model looks'}"
    paid = "" if moment.outcome is None else f"{float(moment.outcome.reward):.3g}"
    goes_on = float(np.prod(np.clip(stretch.foreseen.discount[:ahead], 0, 1)))
    said = f"reward {paid}, imagined {float(stretch.foreseen.reward[ahead - 1]):.3g}"
    ends = "   the end" if moment.last else ""
    return f"{where}   {ahead} ahead   {said}   going on, imagined {100 * goes_on:.0f} %{ends}"


def _titled(name: str, picture: np.ndarray) -> np.ndarray:
    return np.concatenate([strip(name, picture.shape[1], 13), picture])


def _tall(picture: np.ndarray, height: int) -> np.ndarray:
    """The picture in this height: small ones pixel by pixel."""
    size = round(picture.shape[1] * height / len(picture)), height
    how = Image.Resampling.NEAREST if 2 * len(picture) <= height else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize(size, how))


def _side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    """In a row, on paper where one is lower than others."""
    height = max(len(picture) for picture in pictures)
    paper = [np.full((height, picture.shape[1] + GAP, 3), PAPER, np.uint8) for picture in pictures]
    for page, picture in zip(paper, pictures):
        page[: len(picture), : picture.shape[1]] = picture
    return np.concatenate(paper, 1)[:, :-GAP]
