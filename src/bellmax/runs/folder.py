"""The run folder: everything a run leaves behind, in files that outlive it.

config.json          what was run                      metrics.jsonl       one row a line
status.json          how it goes                       evaluations.jsonl   one row a line
checkpoints/         to go on from                     tensorboard/        events
samples.jsonl        answers of a language model while it was trained
failure/             what broke, if anything did       seed-0/, seed-1/    runs of one seed each
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bellmax.runs import checkpoints, lock, rows
from bellmax.runs.checkpoints import Checkpoints
from bellmax.runs.disk import RunFolderError, explained, make_folder, replace, sweep
from bellmax.runs.plain import plain
from bellmax.runs.rows import Row

Status = Literal["running", "finished", "interrupted", "failed"]
_STATUSES = ("running", "finished", "interrupted", "failed")
_CHILD = re.compile(r"seed-(\d+)")


@dataclass
class RunFolder:
    """One run's folder. Make one with `create`, or come back to one with `open`."""

    path: Path

    @classmethod
    def create(cls, root: Path | str, name: str, stamp: bool = True) -> RunFolder:
        """A new folder in `root` called after `name` and the time: ppo-CartPole-v1-2026-11-21-093015.

        A name that is taken gets -2, -3, ...; two processes never get the same folder. `root` is
        made if it is missing. Raises RunFolderError.
        """
        root = make_folder(Path(root), parents=True)
        wanted = _sayable(name) + (f"-{datetime.now():%Y-%m-%d-%H%M%S}" if stamp else "")
        count = 1
        while True:
            path = root / (wanted if count == 1 else f"{wanted}-{count}")
            with explained(path):
                try:
                    path.mkdir()
                except FileExistsError:  # mkdir is the one that decides a race
                    count += 1
                    continue
            return cls(path)._begin()

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """The run in the folder `path`. Raises RunFolderError, with the nearest runs, if there is none."""
        path = Path(path)
        if _is_run(path):
            return cls(path)
        inside, beside = list_runs(path), list_runs(path.parent)
        if inside:
            raise RunFolderError(f"{path} is no run but holds {len(inside)}: did you mean {inside[-1].path}?")
        problem = "is no run folder (it has no config.json)" if path.exists() else "does not exist"
        names = [run.path.name for run in beside]
        near = difflib.get_close_matches(path.name, names, 3, 0.4) or names[-3:]
        hint = (
            f"did you mean {' or '.join(str(path.parent / name) for name in near)}?" if near else "give a run's folder."
        )
        raise RunFolderError(f"{path} {problem}: {hint}")

    def child(self, seed: int) -> RunFolder:
        """The folder seed-`seed` in this one, for a seed trained by itself; made if it is missing."""
        run = RunFolder(make_folder(self.path / f"seed-{seed}"))
        return run if _is_run(run.path) else run._begin()

    @property
    def children(self) -> list[RunFolder]:
        """The folders of single seeds, by seed."""
        with explained(self.path, "read"):
            found = [path for path in self.path.iterdir() if _CHILD.fullmatch(path.name) and path.is_dir()]
        return [RunFolder(path) for path in sorted(found, key=_seed_of)]

    def write_config(self, config: Mapping[str, Any]) -> Path:
        """Write config.json. Infinities are kept, as Python's JSON writes them."""
        return _write_json(self.path / "config.json", plain(config, "config", "keep"))

    @property
    def config(self) -> dict[str, Any]:
        """What `write_config` wrote. Raises RunFolderError."""
        return _read_json(self.path / "config.json")

    @property
    def status(self) -> Status:
        """How the run goes: running, finished, interrupted (also: killed without a word) or failed."""
        status = _read_json(self.path / "status.json").get("status")
        if status not in _STATUSES:
            raise RunFolderError(f"{self.path / 'status.json'} says {status!r}: it must be one of {_STATUSES}.")
        lock_file = self.path / "lock"
        left = status == "running" and lock_file.exists() and not lock.is_held(lock_file)
        return "interrupted" if left and lock.fcntl else status

    @status.setter
    def status(self, status: Status) -> None:
        if status not in _STATUSES:
            raise ValueError(f"status = {status!r}: it must be one of {_STATUSES}.")
        sweep(self.path)
        now = datetime.now(UTC).isoformat(timespec="microseconds")  # runs made in one millisecond keep their order
        _write_json(
            self.path / "status.json", {"status": status, "created": _created(self.path) or now, "changed": now}
        )

    def lock(self) -> AbstractContextManager[None]:
        """`with run.lock():` around training, so that nobody else trains into this folder.

        Raises RunFolderError if somebody does; a lock whose holder was killed is free.
        """
        return lock.hold(self.path / "lock")

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row to metrics.jsonl; it names its "seed" and "step". See `rows.append`."""
        rows.append(self.path / "metrics.jsonl", row)

    def metrics(self) -> list[Row]:
        """The rows of metrics.jsonl, and then those of the children, each with its "seed"."""
        return self._rows("metrics.jsonl")

    def append_evaluation(self, row: Mapping[str, Any]) -> None:
        """Add a row to evaluations.jsonl."""
        rows.append(self.path / "evaluations.jsonl", row)

    def evaluations(self) -> list[Row]:
        """The rows of evaluations.jsonl, and then those of the children, each with its "seed"."""
        return self._rows("evaluations.jsonl")

    def append_sample(self, row: Mapping[str, Any]) -> None:
        """Add a row to samples.jsonl: a prompt, what a language model answered while it was trained, and its reward."""
        rows.append(self.path / "samples.jsonl", row)

    def samples(self) -> list[Row]:
        """The rows of samples.jsonl."""
        return self._rows("samples.jsonl")

    def rewind(self, step: int, seed: int | None = None) -> None:
        """Forget what came after `step`, before the run goes on from there.

        That is rows of metrics, evaluations and samples, of every seed or only of `seed`, here and in the
        children; and the later checkpoints of each run rewound as a whole.
        """
        for name in ("metrics.jsonl", "evaluations.jsonl", "samples.jsonl"):
            rows.rewind(self.path / name, step, seed)
        if seed is None:
            self.checkpoints.rewind(step)
        for run in self.children:
            if seed is None or _seed_of(run.path) == seed:
                run.rewind(step)

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints in checkpoints/, of which three are kept."""
        return Checkpoints(self.path / "checkpoints")

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard events, made when something is written to it."""
        return self.path / "tensorboard"

    def write_failure(self, tree: Any, report: Mapping[str, Any]) -> Path:
        """Keep what broke the run: failure/batch.safetensors and failure/report.json -> failure/.

        tree    the batch that did it; read it back with `checkpoints.load`
        report  what is known, such as {"step": 1024, "seed": 0, "quantity": "loss/policy"}
        """
        folder = make_folder(self.path / "failure")
        facts = plain(report, "report", "text")
        checkpoints.write(folder / "batch.safetensors", int(facts.get("step") or 0), tree, facts)
        _write_json(folder / "report.json", facts)
        return folder

    def _rows(self, name: str) -> list[Row]:
        found = rows.read(self.path / name)
        for run in self.children:
            found += [{"seed": _seed_of(run.path)} | row for row in rows.read(run.path / name)]
        return found

    def _begin(self) -> RunFolder:
        self.status = "running"
        return self


def list_runs(root: Path | str) -> list[RunFolder]:
    """The runs in the folder `root`, the oldest first; none if it is missing or unreadable."""
    try:
        found = [path for path in Path(root).iterdir() if _is_run(path)]
    except OSError:
        return []
    return [RunFolder(path) for path in sorted(found, key=lambda path: (_created(path), path.name))]


def _is_run(path: Path) -> bool:
    return any(os.path.isfile(path / name) for name in ("config.json", "status.json"))  # False where it may not look


def _seed_of(path: Path) -> int:
    return int(path.name.removeprefix("seed-"))


def _created(path: Path) -> str:
    """When the run began, in UTC; "" for a folder that does not say."""
    try:
        return str(_read_json(path / "status.json").get("created", ""))
    except RunFolderError:
        return ""


def _sayable(name: str) -> str:
    """The name with what file systems and shells trip over replaced: ALE/Pong-v5 is ALE-Pong-v5."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.")[:100] or "run"


def _write_json(path: Path, value: Any) -> Path:
    return replace(path, [json.dumps(value, indent=2).encode() + b"\n"])


def _read_json(path: Path) -> dict[str, Any]:
    with explained(path, "read"):
        content = path.read_bytes()
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} is damaged ({error}): restore it from a copy, or start the run again.") from error
    if not isinstance(value, dict):
        raise RunFolderError(f"{path} holds no JSON object: restore it from a copy, or start the run again.")
    return value
