"""A language run from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bellmax.alignment.front import again
from bellmax.alignment.run import AlignmentRun
from bellmax.encode import spec_from_plain
from bellmax.loading import read
from bellmax.runs import RunFolder


def load(path: str | Path, *, checkpoint: str | Path | None = None, reward: Any = None) -> AlignmentRun:
    """A run from its folder, as of its latest checkpoint or the one given."""
    folder = RunFolder.open(path)
    plan, spec = again(folder, reward), spec_from_plain(folder.config["spec"])
    tree, meta = read(folder, plan, spec, checkpoint)  # type: ignore[arg-type]
    timing = {"compile": 0.0, "run": meta["seconds"], "steps": sum(meta["taken"])}
    timing["steps_per_second"] = timing["steps"] / meta["seconds"] if meta["seconds"] else 0.0
    return AlignmentRun(plan, spec, tree, meta, folder.metrics(), folder.evaluations(), timing, folder)
