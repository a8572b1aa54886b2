"""Arrays in a safetensors file, with a checksum over every byte that means something.

The format has no code in it, so a file from a stranger is safe to open: the safetensors library
checks every size before a byte is touched. It is written here rather than by that library, which
renames a temporary file of its own (mode 600, left behind by a kill, the reason of a failure lost).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open

from bellmax.runs.disk import RunFolderError, explained, replace

Arrays = Mapping[str, np.ndarray]
Entries = dict[str, str]

_CODES = {np.dtype(f"int{8 * size}"): f"I{8 * size}" for size in (1, 2, 4, 8)}
_CODES |= {np.dtype(f"uint{8 * size}"): f"U{8 * size}" for size in (1, 2, 4, 8)}
_CODES |= {np.dtype(f"float{8 * size}"): f"F{8 * size}" for size in (2, 4, 8)}
_CODES |= {np.dtype(bool): "BOOL", np.dtype(jnp.bfloat16): "BF16", np.dtype(np.complex64): "C64"}
_UNREADABLE = (SafetensorError, ValueError, TypeError, AttributeError, KeyError)


class DamagedCheckpoint(RunFolderError):
    """A file that is not what was written: cut short, changed or unreadable."""


class WrongCheckpoint(RunFolderError):
    """An intact file that does not fit: of another program, another version or another agent."""


def write(path: Path, arrays: Arrays, entries: Entries) -> Path:
    """Write arrays by name, and `entries` (text by name), in one atomic step.

    Raises RunFolderError (disk), and TypeError for a dtype that the format does not have.
    """
    arrays = {name: _native(name, array) for name, array in arrays.items()}
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # so that each is aligned to its size
    header: dict[str, object] = {"__metadata__": entries | {"checksum": _checksum(arrays, entries)}}
    end = 0
    for name in names:
        begin, end = end, end + arrays[name].nbytes
        code, shape = _CODES[arrays[name].dtype], list(arrays[name].shape)
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)

    def pieces() -> Iterator[bytes | memoryview]:
        yield struct.pack("<Q", len(text)) + text
        yield from (_bytes(arrays[name]) for name in names)

    return replace(path, pieces())


def read(path: Path) -> tuple[dict[str, np.ndarray], Entries]:
    """Every array and entry of a file, the checksum verified.

    Raises DamagedCheckpoint, WrongCheckpoint (a safetensors file of another program) or RunFolderError.
    """
    try:
        with _opened(path) as file:
            entries = _entries(path, file.metadata())
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except _UNREADABLE as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}.") from error
    if entries.pop("checksum", None) != _checksum(arrays, entries):
        raise DamagedCheckpoint(f"{path} is damaged: its content does not match its checksum.")
    return arrays, entries


def read_entries(path: Path) -> Entries:
    """The entries alone, which is fast however large the file is; nothing is verified but the header's form."""
    try:
        with _opened(path) as file:
            return _entries(path, file.metadata())
    except _UNREADABLE as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}.") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with explained(path, "read"):
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device could block for ever
            raise RunFolderError(f"{path} is no file: choose a checkpoint from a run folder.")
        with open(path, "rb"), safe_open(path, "np") as file:  # `open` tells apart what the library does not
            yield file


def _entries(path: Path, found: Entries | None) -> Entries:
    if found is None or not {"format", "bellmax", "checksum"} & found.keys():
        raise WrongCheckpoint(f"{path} was not written by bellmax: choose a checkpoint from a run folder.")
    return found


def _native(name: str, array: np.ndarray) -> np.ndarray:
    """The array in C order and this format's byte order, its dtype otherwise the same."""
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _CODES:
        known = ", ".join(str(known) for known in _CODES)
        raise TypeError(f"Leaf {name} has dtype {array.dtype}, which cannot be saved: convert it to one of {known}.")
    return np.asarray(array, dtype, order="C")


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _checksum(arrays: Arrays, entries: Entries) -> str:
    """SHA-256 over entries, names, dtypes, shapes and bytes.

    Every version of the format keeps this, so that a damaged file is never taken for a newer one.
    """
    names = sorted(arrays)
    about = [[name, str(arrays[name].dtype), list(arrays[name].shape)] for name in names]
    digest = hashlib.sha256(json.dumps([sorted(entries.items()), about]).encode())
    for name in names:
        digest.update(_bytes(arrays[name]))
    return digest.hexdigest()
