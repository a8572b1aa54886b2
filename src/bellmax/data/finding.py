"""The logged steps that are meant: a file, a Minari data set, a run, or arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bellmax.core import Spec, Transition
from bellmax.data import files, from_run, minari
from bellmax.data.checking import DataError, of_spec
from bellmax.data.columns import transitions
from bellmax.experience import Log, log
from bellmax.runs import RunFolder, RunFolderError
from bellmax.spaces import confine

__all__ = ["DataError", "Elsewhere", "Logged", "find"]


@dataclass(frozen=True)
class Logged:
    """Logged steps that fit an environment, in this machine's memory."""

    log: Log
    source: str | None  # where they can be found again; None for arrays of a program's own
    checksum: str  # of every number

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.log.steps.reward)

    @property
    def scores(self) -> np.ndarray:
        """The sum of rewards of every episode, or of what there is of it, [episode]."""
        return self.log.steps.extras["return_to_go"][self.log.steps.extras["time"] == 0]

    def __str__(self) -> str:
        over = int((self.log.steps.discount == 0).sum())
        return (
            f"{self.steps:,} steps in {len(self.scores):,} episodes, of which {over:,} terminated and the others were "
            f"cut; scores {self.scores.mean():.4g} on average, {self.scores.min():.4g} to {self.scores.max():.4g}"
        )

    def config(self) -> dict[str, Any]:
        """What config.json says."""
        return {"source": self.source, "steps": self.steps, "episodes": len(self.scores), "checksum": self.checksum}


@dataclass(frozen=True)
class Elsewhere:
    """What a run's config says of the steps that it learned from; they are looked for when they are needed."""

    told: Mapping[str, Any]

    @property
    def source(self) -> str | None:
        """Where they can be found again; None for arrays of a program's own."""
        return self.told["source"]

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return self.told["steps"]

    def config(self) -> dict[str, Any]:
        """What config.json says."""
        return dict(self.told)


def find(data: Any, spec: Spec, checksum: str | None = None) -> Logged:
    """Logged steps for an environment with this spec.

    data        a .npz or .parquet file; "minari:ID", or the folder of a Minari data set, or one that is loaded; the
                folder of a run that replays, for what it has stored; a dict of arrays; a `Transition` [steps, ...];
                what was found before, or is `Elsewhere`
    checksum    what it must be, for a run that goes on

    DataError, which is a ValueError, says what does not fit. See `bellmax.data.columns` for the names of columns.
    """
    if isinstance(data, Elsewhere):
        if data.source is None:
            raise ValueError("This run learns from arrays of a program's own: pass them, as in resume(path, data=...).")
        return find(data.source, spec, data.told["checksum"])
    if isinstance(data, Logged):
        found = data
    else:
        steps, source = _steps(data, spec)
        made = log(steps)
        found = Logged(made, source, _checksum(made.steps))
    if checksum is not None and found.checksum != checksum:
        raise DataError(
            f"data = {found.source or 'arrays'}: they are not those that the run began with; give the same to go on, "
            "or train anew."
        )
    return found


def _steps(data: Any, spec: Spec) -> tuple[Transition, str | None]:
    """Steps that fit the spec, and where they are from."""
    if isinstance(data, Transition):
        return of_spec(jax.tree.map(np.asarray, data), spec, "data"), None
    if isinstance(data, Mapping):
        return transitions(data, spec, "data"), None
    if isinstance(data, str | Path):
        return _named(str(data), spec)
    if hasattr(data, "iterate_episodes"):
        return transitions(minari.columns(data), spec, str(getattr(data, "id", "data"))), None
    raise TypeError(f"data = {type(data).__name__}: give a file, minari:ID, a run's folder, or a dict of arrays.")


def _named(name: str, spec: Spec) -> tuple[Transition, str]:
    if name.startswith(minari.PREFIX):
        return transitions(minari.columns(minari.load(name.removeprefix(minari.PREFIX))), spec, name), name
    path = Path(name)
    known = str(path.resolve())
    if path.is_dir() and minari.is_folder(path):
        return transitions(minari.columns(minari.load(name)), spec, name), known
    if path.is_dir():
        try:
            RunFolder.open(path)
        except RunFolderError as error:
            raise DataError(f"{name}: it is neither the folder of a run nor of a Minari data set.") from error
        steps = from_run.steps_of(path)
        return of_spec(steps._replace(action=confine(spec.action, steps.action)), spec, name), known
    return transitions(files.read(path), spec, name), known


def _checksum(steps: Transition) -> str:
    """The same for the same numbers alone."""
    digest = hashlib.sha256()
    for x in jax.tree.leaves(steps):
        digest.update(f"{x.dtype}{x.shape}".encode())
        digest.update(np.ascontiguousarray(x).data)
    return digest.hexdigest()[:16]
