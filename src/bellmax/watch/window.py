"""A window on the screen, for worlds that draw pictures but have no window of their own."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from bellmax.envs.adaptors import MissingDependency


def has_display() -> bool:
    """Is there a screen to open a window on?"""
    if os.environ.get("SDL_VIDEODRIVER") or sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class Window:
    """Shows pictures, `fps` a second, until it is closed."""

    def __init__(self, title: str, fps: float):
        """Nothing opens before the first picture, whose size the window takes."""
        try:
            import pygame
        except ImportError as error:
            raise MissingDependency(
                'A window needs pygame, which is not installed: pip install "bellmax[watch]".'
            ) from error
        self._pygame, self.title, self.fps = pygame, title, fps
        self._screen: Any = None
        self._clock = pygame.time.Clock()

    def show(self, picture: np.ndarray) -> bool:
        """Show one picture (uint8 [height, width, 3]) for its time -> is the window still open?"""
        pygame = self._pygame
        if self._screen is None:
            pygame.display.init()
            pygame.display.set_caption(self.title)
            self._screen = pygame.display.set_mode((picture.shape[1], picture.shape[0]))
        self._screen.blit(pygame.surfarray.make_surface(picture.swapaxes(0, 1)), (0, 0))
        pygame.display.flip()
        self._clock.tick(self.fps)
        return all(event.type != pygame.QUIT for event in pygame.event.get())

    def close(self) -> None:
        """Close the window."""
        if self._screen is not None:
            self._pygame.display.quit()
            self._screen = None
