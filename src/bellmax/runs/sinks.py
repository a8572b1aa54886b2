"""Where else rows of metrics can go: TensorBoard, Weights & Biases, MLflow; each has `row` and `close`."""

from __future__ import annotations

import importlib
import math
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bellmax.runs.disk import explained, make_folder
from bellmax.runs.plain import plain

_FLUSH_EVERY = 10.0  # seconds


class TensorBoard:
    """Event files in `folder`, one subfolder a seed, so that TensorBoard draws one curve a seed.

    resumed_at  the step a run goes on from: TensorBoard then hides what was written after it

    Written without the library's background thread, which dies of a full disk and then blocks its
    caller for ever. Raises RunFolderError.
    """

    def __init__(self, folder: Path | str, resumed_at: int | None = None) -> None:
        self._events = _library("tensorboardX.event_file_writer", "tensorboardX", "tensorboardX")
        self._event = _library("tensorboardX.proto.event_pb2", "tensorboardX", "tensorboardX")
        self._summary = _library("tensorboardX.proto.summary_pb2", "tensorboardX", "tensorboardX")
        self._folder, self._resumed_at = Path(folder), resumed_at
        self._writers: dict[Path, Any] = {}
        self._flushed = time.monotonic()

    def row(self, row: Mapping[str, Any]) -> None:
        """Write a row's numbers at its "step", into the curves of its "seed"."""
        values = [self._summary.Summary.Value(tag=name, simple_value=value) for name, value in _numbers(row)]
        folder = self._folder / _group(row) if _group(row) else self._folder
        event = self._event.Event(wall_time=time.time(), step=_step(row))
        event.summary.CopyFrom(self._summary.Summary(value=values))
        with explained(folder):
            self._writer(folder).write_event(event)
            if time.monotonic() - self._flushed > _FLUSH_EVERY:
                self.flush()

    def flush(self) -> None:
        """Bring everything to the disk; it happens by itself every ten seconds."""
        self._flushed = time.monotonic()
        with explained(self._folder):
            for writer in self._writers.values():
                writer.flush()

    def close(self) -> None:
        """Bring everything to the disk, and end."""
        with explained(self._folder):
            while self._writers:
                self._writers.popitem()[1].close()

    def _writer(self, folder: Path) -> Any:
        if folder not in self._writers:
            make_folder(folder, parents=True)
            # A name of its own: the library's holds the second, and a run resumed within it would write over the file.
            writer = self._events.EventsWriter(str(folder / "events"), f".{os.getpid()}.{uuid.uuid4().hex[:8]}")
            if self._resumed_at is not None:
                start = self._event.SessionLog(status=self._event.SessionLog.START)
                step = self._resumed_at + 1  # the first step to hide
                writer.write_event(self._event.Event(wall_time=time.time(), step=step, session_log=start))
            self._writers[folder] = writer
        return self._writers[folder]


class WeightsAndBiases:
    """One W&B run; the metrics of seed 3 are called seed-3/score and are drawn over seed-3/step.

    settings  go to `wandb.init`: entity, group, mode="offline", dir, ...
    """

    def __init__(self, project: str, name: str, config: Mapping[str, Any], **settings: Any) -> None:
        wandb = _library("wandb", "wandb", "bellmax[wandb]")
        self._run = wandb.init(project=project, name=name, config=plain(config, "config", "text"), **settings)
        self._groups: set[str] = set()

    def row(self, row: Mapping[str, Any]) -> None:
        """Log a row's numbers over its "step", in the group of its "seed"."""
        prefix = f"{_group(row)}/" if _group(row) else ""
        if prefix not in self._groups:  # W&B's own step may only grow, and seeds take turns
            self._groups.add(prefix)
            self._run.define_metric(f"{prefix}step")
            self._run.define_metric(f"{prefix}*", step_metric=f"{prefix}step")
        self._run.log({f"{prefix}step": _step(row)} | {prefix + name: value for name, value in _numbers(row)})

    def close(self) -> None:
        """Finish the W&B run."""
        self._run.finish()


class MLflow:
    """One MLflow run; the metrics of seed 3 are called seed-3/score.

    tracking_uri  where MLflow keeps its runs; None for what MLflow itself is set to
    """

    def __init__(self, experiment: str, name: str, config: Mapping[str, Any], tracking_uri: str | None = None) -> None:
        mlflow = _library("mlflow", "mlflow", "bellmax[mlflow]")
        self._entities = _library("mlflow.entities", "mlflow", "bellmax[mlflow]")
        self._client = mlflow.MlflowClient(tracking_uri=tracking_uri)  # it leaves the user's active run alone
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else self._client.create_experiment(experiment)
        self._run = self._client.create_run(number, run_name=name).info.run_id
        params = [self._entities.Param(key, value[:500]) for key, value in _flat(plain(config, "config", "text"))]
        for begin in range(0, len(params), 100):  # the most that MLflow takes at once
            self._client.log_batch(self._run, params=params[begin : begin + 100])

    def row(self, row: Mapping[str, Any]) -> None:
        """Log a row's numbers at its "step", in the group of its "seed"."""
        prefix, now = f"{_group(row)}/" if _group(row) else "", int(time.time() * 1000)
        metrics = [self._entities.Metric(prefix + name, value, now, _step(row)) for name, value in _numbers(row)]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self) -> None:
        """Finish the MLflow run."""
        self._client.set_terminated(self._run)


def _library(module: str, package: str, install: str) -> Any:
    """Import a library when it is asked for, and say how to get it if it is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != package:
            raise  # the library is there; something that it needs is not
        raise ImportError(f'{package} is not installed: run `pip install "{install}"`.') from error


def _numbers(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """A row's single numbers, without those that say where they belong."""
    for name, value in row.items():
        if name not in ("seed", "step") and isinstance(value, bool | int | float | np.generic | np.ndarray | jax.Array):
            number = np.asarray(value)
            if number.ndim == 0 and number.dtype.kind in "biufV":  # V: bfloat16
                yield name, float(number)


def _group(row: Mapping[str, Any]) -> str:
    return "" if row.get("seed") is None else f"seed-{int(row['seed'])}"


def _step(row: Mapping[str, Any]) -> int:
    step = row.get("step")
    return int(step) if step is not None and math.isfinite(step) else 0


def _flat(config: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """A nested configuration as `outer.inner` and text."""
    if isinstance(config, dict) and config:
        for key, value in config.items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    else:
        yield name, str(config)
