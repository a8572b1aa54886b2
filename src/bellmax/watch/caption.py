"""The score and the step, in a strip below the picture, where they hide nothing."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SMALLEST = 240  # pixels: smaller pictures are enlarged, pixel by pixel, until they can be seen and written on
INK, PAPER = (255, 255, 255), (44, 48, 60)


def captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """A picture (uint8 [height, width, 3]), enlarged if it is tiny, with a line of text below."""
    times = max(1, -(-SMALLEST // max(picture.shape[:2])))
    large = np.repeat(np.repeat(picture, times, 0), times, 1)
    return np.concatenate([large, strip(text, large.shape[1], max(12, min(large.shape[:2]) // 24))])


def strip(text: str, width: int, size: int) -> np.ndarray:
    """A line of text in letters of `size` pixels, uint8 [2 size, width, 3]."""
    image = Image.new("RGB", (width, 2 * size), PAPER)
    ImageDraw.Draw(image).text((size // 2, size), text, INK, _font(size), "lm")
    return np.asarray(image)


@functools.lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
