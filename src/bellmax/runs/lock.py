"""Locks that the operating system lets go of when their holder dies: one trainer a run folder."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from bellmax.runs.disk import RunFolderError, explained

try:
    import fcntl
except ImportError:  # Windows: runs are not locked there
    fcntl = None  # type: ignore[assignment]

_PATIENCE = 0.5  # seconds: `is_held` takes the lock for a moment
_ours: set[int] = set()


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, which tells the holder's process id.

    A killed holder lets go by dying, so a lock is never stale. Raises RunFolderError if another
    process (or this one) holds it. The file stays: removing it could hand out the lock twice.
    """
    with explained(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    _ours.add(descriptor)
    try:
        _take(descriptor, path)
        with explained(path):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        if descriptor in _ours:
            _ours.remove(descriptor)
            os.close(descriptor)


@contextlib.contextmanager
def turn(descriptor: int) -> Iterator[None]:
    """Wait until no other process has its turn on this open file, where the file system knows locks."""
    if fcntl is None:
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:  # not left to closing: a child forked in between would keep the lock
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_held(path: Path) -> bool:
    """Is a living process holding the lock file `path`?"""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int, path: Path) -> None:
    if fcntl is None:
        return
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RunFolderError(_taken(path)) from None
            time.sleep(0.02)
        except OSError as error:
            return warnings.warn(
                f"{path.parent} cannot be locked ({error}): train into it once at a time.", stacklevel=4
            )


def _taken(path: Path) -> str:
    holder = path.read_text(errors="replace").strip() or "another process"
    who = f"process {holder}" if holder.isdigit() else holder
    return f"{path.parent} is being trained by {who}: wait for it, stop it, or choose another run folder."


def _forget() -> None:
    """A forked child shares its parent's locks, and would keep them when the parent is killed."""
    for descriptor in _ours:
        os.close(descriptor)
    _ours.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
