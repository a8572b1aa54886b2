"""Pictures into files: GIF through Pillow, MP4 through ffmpeg."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from bellmax.runs.disk import explained, make_folder

FASTEST_GIF = 50  # pictures a second; browsers slow down what claims to be faster
SUFFIXES = (".gif", ".mp4")


class CannotWatch(RuntimeError):
    """There is nothing to see, or no place to show it; the message says what to do instead."""


def check_path(path: Path) -> None:
    """Raise, before anything is played, what `write` would raise later for want of a suffix or a library."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"path = {str(path)!r}: films are written as {' or '.join(SUFFIXES)}; choose one of these.")
    if path.suffix.lower() == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError as error:
            raise ImportError(
                'An MP4 needs imageio-ffmpeg, which is not installed: pip install "bellmax[watch]", or write a .gif.'
            ) from error


def write(path: Path, pictures: Iterable[np.ndarray], fps: float) -> Path:
    """Write pictures (uint8 [height, width, 3], all alike) to a .gif or .mp4, all or nothing; fps: pictures a second.

    A GIF plays at most 50 pictures a second. Raises ValueError, ImportError, RunFolderError (the disk), and
    whatever `pictures` raises.
    """
    check_path(path)
    make_folder(path.parent, parents=True)
    draft = path.with_name(f".unfinished-{path.name}")
    try:
        with explained(path):
            (_gif if path.suffix.lower() == ".gif" else _mp4)(draft, _alike(pictures), fps)
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _gif(path: Path, pictures: Iterator[np.ndarray], fps: float) -> None:
    frames = (Image.fromarray(x).quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE) for x in pictures)
    duration = round(1000 / min(fps, FASTEST_GIF))  # ms
    next(frames).save(path, "GIF", save_all=True, append_images=frames, duration=duration, loop=0)


def _mp4(path: Path, pictures: Iterator[np.ndarray], fps: float) -> None:
    import imageio_ffmpeg

    first = _even(next(pictures))
    size = first.shape[1], first.shape[0]
    with contextlib.closing(imageio_ffmpeg.write_frames(str(path), size, fps=fps, macro_block_size=2)) as film:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)  # JAX's; ffmpeg is not Python
            film.send(None)
        for picture in itertools.chain([first], map(_even, pictures)):
            film.send(np.ascontiguousarray(picture))


def _even(picture: np.ndarray) -> np.ndarray:
    """Video wants even sides: the last row or column is doubled."""
    height, width, _ = picture.shape
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")


def _alike(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The pictures in the size of the first."""
    size = None
    for picture in pictures:
        size = size or picture.shape
        if picture.shape != size:
            picture = np.asarray(Image.fromarray(picture).resize((size[1], size[0])))
        yield picture
