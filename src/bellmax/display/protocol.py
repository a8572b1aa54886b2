"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Facts(NamedTuple):
    """What is known about a run before its first step."""

    algorithm: str
    env: str
    driver: str  # "ingraph" or "hosted"
    steps: int  # environment steps of each seed when the run is done
    num_envs: int
    seeds: Sequence[int]
    recipe: str | None = None
    folder: str | None = None
    taken: int = 0  # steps that each seed had taken already, when a run goes on


class Display(Protocol):
    """Somebody who watches a run. `row`, `evaluation` and `note` come at any time after `start`."""

    def start(self, facts: Facts) -> None:
        """The run begins."""

    def compiling(self) -> None:
        """Compilation begins."""

    def compiled(self, seconds: float) -> None:
        """Compilation is over, and running begins."""

    def row(self, row: Mapping[str, Any]) -> None:
        """A row of metrics: "seed", "step", "score" (None where no episode ended), ... and the algorithm's own."""

    def evaluation(self, row: Mapping[str, Any]) -> None:
        """An evaluation: "seed", "step", "mean", "std", "greedy", "episodes"."""

    def note(self, text: str) -> None:
        """Something worth a line, such as a checkpoint that was refused."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """The run is over: "status", "steps", "run" and "compile" (seconds), "steps_per_second", "score", "folder"."""
