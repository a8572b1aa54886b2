"""What is reported on: a run folder, its path, a `Run` or plain rows, all read into the same facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from bellmax.report.curves import Rows
from bellmax.runs import RunFolder


@runtime_checkable
class Ran(Protocol):
    """A run in memory, such as `bellmax.train` returns; `folder` is its RunFolder or None."""

    config: Mapping[str, Any]
    metrics: Rows
    evaluations: Rows
    folder: RunFolder | None


Run = RunFolder | Ran | str | Path | Rows


class Source(NamedTuple):
    """One run's facts."""

    name: str  # of its folder; "" without one
    rows: Rows  # of training
    evaluations: Rows  # greedy ones, where there are any
    config: Mapping[str, Any]  # as in config.json; empty if unknown

    @property
    def algorithm(self) -> str:
        """The algorithm's name, without wrappers; "" if unknown."""
        return _title(_unwrapped(self.config)[0])

    @property
    def environment(self) -> str:
        """The environment's name; "" if unknown."""
        return str(_environment(self.config).get("name", ""))

    @property
    def settings(self) -> dict[str, Any]:
        """Everything chosen for the run but how long and with which seeds, by dotted name."""
        inner, wrappers = _unwrapped(self.config)
        chosen = {name: self.config.get(name) for name in ("num_envs", "driver", "recipe")}
        environment = {
            name: value for name, value in _environment(self.config).items() if name not in ("name", "again")
        }
        return _flat(inner) | {"wrappers": "+".join(wrappers)} | chosen | _flat(environment)


def read_all(runs: Run | Sequence[Run]) -> list[Source]:
    """One run or several -> their facts. Raises RunFolderError for a path that is no run, TypeError, ValueError."""
    one = not isinstance(runs, list | tuple) or (len(runs) > 0 and all(isinstance(row, Mapping) for row in runs))
    found = [_read(run) for run in ([runs] if one else runs)]  # type: ignore[list-item,arg-type,union-attr]
    if not found:
        raise ValueError("runs is empty: give at least one run.")
    return found


def _read(run: Any) -> Source:
    if isinstance(run, str | Path):
        run = RunFolder.open(run)
    if isinstance(run, RunFolder):
        config = run.config if (run.path / "config.json").exists() else {}
        return Source(run.path.resolve().name, run.metrics(), _greedy(run.evaluations()), config)
    if isinstance(run, list | tuple):
        rows = [dict(row) for row in run]
        training = [row for row in rows if "mean" not in row]
        return Source("", training, _greedy(row for row in rows if "mean" in row), {})
    if isinstance(run, Ran):
        name = run.folder.path.resolve().name if run.folder else ""
        return Source(name, run.metrics, _greedy(run.evaluations), run.config)
    raise TypeError(f"runs holds a {type(run).__name__}: give a run folder, its path, a Run or a list of rows.")


def _greedy(rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Greedy and exploring policies are two policies: one curve never mixes them."""
    rows = list(rows)
    return [row for row in rows if row.get("greedy", True)] or rows


def name_all(sources: Sequence[Source], labels: Sequence[str] | None = None) -> list[str]:
    """What to call each run: the labels given, or the shortest names that tell the runs apart."""
    if labels is not None:
        if isinstance(labels, str) or len(labels) != len(sources):
            raise ValueError(f"labels = {labels!r}: give one for each of the {len(sources)} runs.")
        return [str(label) for label in labels]
    several = len({source.environment for source in sources}) > 1
    names = [_base(source, several) for source in sources]
    names = _told_apart(names, [text if text.count(", ") < 3 else "" for text in differences(sources)])
    names = _told_apart(names, [source.name if source.name not in name else "" for source, name in zip(sources, names)])
    return _told_apart(names, [f"({names[: index + 1].count(name)})" for index, name in enumerate(names)])


def _base(source: Source, several: bool) -> str:
    named = " on ".join(filter(None, [source.algorithm, source.environment if several else ""]))
    return named or source.name or "run"


def _told_apart(names: Sequence[str], additions: Sequence[str]) -> list[str]:
    return [f"{name} {add}".strip() if names.count(name) > 1 else name for name, add in zip(names, additions)]


def differences(sources: Sequence[Source]) -> list[str]:
    """How the settings of each run differ from those of the same algorithm on the same environment."""
    return [", ".join(_odd(source, sources)) for source in sources]


def _odd(source: Source, sources: Sequence[Source]) -> list[str]:
    alike = [(other.algorithm, other.environment) == (source.algorithm, source.environment) for other in sources]
    settings = [other.settings for other, same in zip(sources, alike) if same]
    mine = source.settings
    return [
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in mine.items()
        if any(other.get(name) != value for other in settings)
    ]


def _unwrapped(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """The algorithm inside all wrappers, and the wrappers' names from the outside in."""
    algorithm, wrappers = config.get("algorithm") or {}, []
    while isinstance(algorithm.get("inner"), Mapping):
        wrappers.append(_title(algorithm))
        algorithm = algorithm["inner"]
    return algorithm, wrappers


def _title(tree: Mapping[str, Any]) -> str:
    """The name of a class without its module: "bellmax.algorithms.policy.ppo:PPO" is PPO."""
    return str(tree.get("kind", "")).rpartition(":")[2].rpartition(".")[2]


def _environment(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return config.get("environment") or {}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = _title(tree) if name == "kind" else value
    return flat
