"""Writing to a disk that may be full, missing or pulled out mid-write."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_PROCESS = uuid.uuid4().hex[:8]  # a process id alone comes back: in a container it is 1 after every restart
_COUNT = itertools.count()
_TEMPORARY = re.compile(r"\..+\.(\d+)-([0-9a-f]{8})-\d+\.tmp")


class RunFolderError(Exception):
    """A file of a run that cannot be read or written; the message says which, why and what to do."""


@contextlib.contextmanager
def explained(path: Path, verb: str = "write") -> Iterator[None]:
    """Turn an `OSError` into one `RunFolderError` that names `path` and the remedy; `verb` is "read" or "write"."""
    try:
        yield
    except OSError as error:
        raise RunFolderError(f"Cannot {verb} {path}: {_remedy(error, path, verb)}.") from error


def _remedy(error: OSError, path: Path, verb: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space or choose a folder on another disk, then resume the run"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to {verb} there; change the permissions of {path.parent} or choose another folder"
    if error.errno == errno.ENOENT and verb == "read":
        return "there is no such file; check the path, or whether it was moved or deleted"
    if error.errno == errno.ENOENT:
        return f"the folder {path.parent} does not exist; create it again if it was moved or deleted, or choose another"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "a part of this path is a file and no folder; move that file away or choose another folder"
    reason = (error.strerror or str(error)).lower()
    return f"{reason}; check the disk that holds {path.parent} or choose another folder"


def make_folder(folder: Path, parents: bool = False) -> Path:
    """Create `folder` unless it exists; with `parents`, everything above it too."""
    with explained(folder):
        folder.mkdir(parents=parents, exist_ok=True)
    return folder


def replace(path: Path, pieces: Iterable[Any]) -> Path:
    """Write `pieces` (buffers of bytes) to `path`, all or nothing: a reader sees the old file or the whole new one.

    That holds for a process killed and a machine switched off at any point: the file is written
    under another name in the same folder, reaches the disk, and only then takes its name.
    Raises RunFolderError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{_PROCESS}-{next(_COUNT)}.tmp")
    with explained(path):
        try:
            with open(temporary, "xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _settle(path.parent)
    return path


def _settle(folder: Path) -> None:
    """Wait until the disk holds the folder's list of names: a rename may be lost with the power until then."""
    if os.name != "posix":  # elsewhere folders cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network file systems know no such thing
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the half-written files of processes that were killed; those of living processes stay."""
    with explained(folder):
        for path in folder.iterdir():
            found = _TEMPORARY.fullmatch(path.name)
            if found and _abandoned(int(found[1]), found[2]):
                path.unlink(missing_ok=True)


def _abandoned(process: int, token: str) -> bool:
    """Is the writer gone? Ours under another token was an earlier process with the same id."""
    if process == os.getpid():
        return token != _PROCESS
    if os.name != "posix":
        return False  # there, asking after a process may end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    return False
