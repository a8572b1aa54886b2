"""Checkpoints: everything a run knows, in one safe file a step, the last few kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bellmax.runs import leaves, tensors
from bellmax.runs.disk import RunFolderError, explained, make_folder, sweep
from bellmax.runs.plain import plain
from bellmax.runs.provenance import version
from bellmax.runs.tensors import DamagedCheckpoint, WrongCheckpoint

FORMAT = 1
_NAME = re.compile(r"step-(\d{12,})\.safetensors")


class Header(NamedTuple):
    """What a checkpoint says about itself."""

    step: int
    meta: dict[str, Any]
    bellmax: str  # the version that wrote it
    format: int


def save(folder: Path | str, step: int, tree: Any, meta: dict[str, Any]) -> Path:
    """Write `tree` to `folder`/step-000000102400.safetensors, all or nothing -> that path.

    tree  arrays of bool, int, uint, float, bfloat16 or complex64, and typed PRNG keys, of any shape
    meta  what JSON can hold; arrays become lists

    The folder is made if only it is missing. Raises RunFolderError (disk full, folder gone, no
    permission), and TypeError for a leaf or an entry that cannot be saved.
    """
    if step < 0:
        raise ValueError(f"step = {step}: it must be at least 0.")
    path = make_folder(Path(folder)) / f"step-{int(step):012d}.safetensors"
    return write(path, step, tree, meta)


def write(path: Path, step: int, tree: Any, meta: dict[str, Any]) -> Path:
    """`save` under a name of one's own."""
    arrays, keys = leaves.flatten(tree)
    entries = {"format": str(FORMAT), "bellmax": version("bellmax"), "step": str(step)}
    entries |= {"meta": json.dumps(plain(meta, "meta", nonfinite="keep")), "keys": json.dumps(keys)}
    return tensors.write(path, arrays, entries)


def load(path: Path | str, template: Any) -> tuple[Any, dict[str, Any]]:
    """Read a checkpoint back -> (tree, meta), every leaf bit for bit.

    template  a tree of arrays or jax.ShapeDtypeStruct (`jax.eval_shape`) of the shapes expected;
              NumPy leaves come back as NumPy, all others as jax.Array

    Raises DamagedCheckpoint (naming the previous good one), WrongCheckpoint (another structure, a
    newer format) or RunFolderError (no such file, no permission). Safe on files from strangers.
    """
    path = Path(path)
    try:
        arrays, entries = tensors.read(path)
        header, keys = _parse(path, entries), _keys(path, entries)
    except DamagedCheckpoint as error:
        raise DamagedCheckpoint(f"{error} {_advice(path)}") from error
    here = version("bellmax")
    source = str(path) if header.bellmax == here else f"{path} (by bellmax {header.bellmax}, this is {here})"
    return leaves.restore(template, arrays, keys, source), header.meta


def read_header(path: Path | str) -> Header:
    """Step, meta and versions of a checkpoint, without its arrays: fast, and verified no further than its form."""
    return _parse(Path(path), tensors.read_entries(Path(path)))


def _parse(path: Path, entries: dict[str, str]) -> Header:
    """The entries' meaning. Every version of the format keeps `format`, `bellmax` and `step`."""
    try:
        form, writer = int(entries["format"]), entries["bellmax"]
        if form > FORMAT:
            newer = f"{path} has format {form}, of bellmax {writer}"
            raise WrongCheckpoint(
                f"{newer}; this bellmax ({version('bellmax')}) reads up to {FORMAT}: upgrade bellmax."
            )
        return Header(int(entries["step"]), json.loads(entries["meta"]), writer, form)
    except (KeyError, ValueError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: its header makes no sense ({error!r}).") from error


def _keys(path: Path, entries: dict[str, str]) -> dict[str, str]:
    try:
        return dict(json.loads(entries["keys"]))
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: its list of keys makes no sense ({error!r}).") from error


def _advice(path: Path) -> str:
    """How to go on after `path` turned out damaged: from the newest one before it that is intact."""
    found = _NAME.fullmatch(path.name)
    for earlier in reversed(Checkpoints(path.parent).list() if found else []):
        if step_of(earlier) < step_of(path) and _intact(earlier):
            return f"The one before it, {earlier}, is intact: delete the damaged file and resume, to go on from there."
    return "No intact checkpoint before it is beside it: restore it from a copy, or start the run again."


def _intact(path: Path) -> bool:
    try:
        _parse(path, tensors.read(path)[1])
    except RunFolderError:
        return False
    return True


def step_of(path: Path) -> int:
    """The step in a checkpoint's name."""
    found = _NAME.fullmatch(path.name)
    if not found:
        raise ValueError(f"{path.name} is no checkpoint's name: it should look like step-000000102400.safetensors.")
    return int(found[1])


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints in one folder, of which the last `keep` stay."""

    folder: Path
    keep: int = 3

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ValueError(f"Checkpoints.keep = {self.keep}: it must be at least 1.")
        object.__setattr__(self, "folder", Path(self.folder))

    def save(self, step: int, tree: Any, meta: dict[str, Any]) -> Path:
        """`save` here, then remove the oldest beyond `keep` and what killed processes left half-written."""
        path = save(self.folder, step, tree, meta)
        sweep(self.folder)
        others = [other for other in self.list() if other != path]
        self._remove(others[: max(len(others) + 1 - self.keep, 0)])
        return path

    def list(self) -> list[Path]:
        """All checkpoints, the oldest step first; half-written ones are none."""
        with explained(self.folder, "read"):
            found = self.folder.iterdir() if self.folder.is_dir() else ()
            return sorted((path for path in found if _NAME.fullmatch(path.name)), key=step_of)

    def latest(self) -> Path | None:
        """The checkpoint of the highest step."""
        return max(self.list(), key=step_of, default=None)

    def rewind(self, step: int) -> None:
        """Remove the checkpoints after `step`: the future of a run that goes on from there."""
        self._remove([path for path in self.list() if step_of(path) > step])

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with explained(path):
                path.unlink(missing_ok=True)
