"""A display for terminals: a picture that stays in place and moves while the run goes on."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any

from rich import live
from rich.console import Console
from rich.text import Text

from bellmax.display.progress import Progress
from bellmax.display.protocol import Facts
from bellmax.display.screen import Screen

FASTEST = 0.125  # seconds between two pictures
SHARE = 0.02  # of one core, that drawing may take


class Live:
    """Draws from a thread of its own, at most eight times a second and less often where drawing is dear."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._screen: Screen | None = None
        self._live: live.Live | None = None
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def start(self, facts: Facts) -> None:
        self._screen = Screen(Progress(facts))
        self._live = live.Live(console=self._console, auto_refresh=False, get_renderable=self._picture)
        self._over.clear()
        _ON.add(self)
        self._live.start()
        self._thread = threading.Thread(target=self._draw, name="bellmax-display", daemon=True)
        self._thread.start()

    def compiling(self) -> None:
        if self._screen is not None:
            self._screen.progress.compiling()

    def compiled(self, seconds: float) -> None:
        if self._screen is not None:
            self._screen.progress.compiled(seconds)

    def row(self, row: Mapping[str, Any]) -> None:
        if self._screen is not None:
            self._screen.progress.row(row)

    def evaluation(self, row: Mapping[str, Any]) -> None:
        if self._screen is not None:
            self._screen.progress.evaluation(row)

    def note(self, text: str) -> None:
        self._console.print(Text(text, "yellow"))

    def finish(self, summary: Mapping[str, Any]) -> None:
        if self._screen is not None:
            self._screen.summary = summary
        self.close()

    def close(self) -> None:
        """Draw a last time and give the terminal back: cursor, standard output. Safe to call again."""
        _ON.discard(self)
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self._live is not None:
            with contextlib.suppress(OSError, ValueError):  # nobody is there to see it
                self._live.stop()  # draws too
        self._thread = self._live = None

    def _picture(self) -> Screen | Text:
        return self._screen or Text()

    def _draw(self) -> None:
        pause = FASTEST
        while not self._over.wait(pause):
            began = time.thread_time()
            try:
                if self._live is not None:
                    self._live.refresh()
            except (OSError, ValueError):  # the terminal is gone; the run goes on
                return
            pause = max(FASTEST, (time.thread_time() - began) / SHARE)


_ON: weakref.WeakSet[Live] = weakref.WeakSet()


def close_all() -> None:
    """Give the terminal back, whatever happened to the runs that were shown on it."""
    for display in list(_ON):
        display.close()


def _give_up() -> None:
    """In a forked child: what it prints must not go through the parent's display, whose lock nobody would open."""
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # type: ignore[assignment]
    _ON.clear()


def _in_child() -> None:
    if _ON:
        _give_up()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
