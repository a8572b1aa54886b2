"""Which run is meant: a path, the name of one in ./runs, or "latest"."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bellmax.runs import RunFolder, RunFolderError, list_runs

ROOT = Path("runs")


def find_run(name: str, root: Path = ROOT) -> Path:
    """The folder of the run that is meant. Raises RunFolderError, with the nearest runs, if there is none."""
    if name == "latest":
        # A run that was refused before it began has no config, and there is nothing to be done with it.
        runs = [run for run in list_runs(root) if (run.path / "config.json").exists()]
        if not runs:
            raise RunFolderError(f"there are no runs in {root}: train one with `bellmax train ppo CartPole-v1`.")
        return runs[-1].path
    path = Path(name)
    bare = len(path.parts) == 1 and not path.exists() and root.is_dir()
    return RunFolder.open(root / name if bare else path).path


@contextlib.contextmanager
def explain_interrupt(root: str | Path) -> Iterator[None]:
    """After Ctrl-C, say how to go on with the run that was being trained in `root`."""
    before = {run.path for run in list_runs(root)}
    try:
        yield
    except KeyboardInterrupt as interrupt:
        made = [run.path for run in list_runs(root) if run.path not in before]
        if str(interrupt) or not made:
            raise
        raise KeyboardInterrupt(how_to_resume(made[-1])) from interrupt


def how_to_resume(path: Path) -> str:
    """What to type to go on with a run."""
    known = path.parent == ROOT and not os.path.exists(path.name)
    return f"interrupted and saved; go on with: bellmax resume {path.name if known else path}"
