"""Rows that go to other programs: read back with their own formats, or seen by a stand-in."""

import errno
import math
import os
import struct
import sys
from types import ModuleType, SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

from bellmax.runs import MLflow, RunFolderError, TensorBoard, WeightsAndBiases

ROW = {"seed": 1, "step": 10, "score": np.float32(0.5), "loss/policy": jnp.bfloat16(1.5), "solved": True}
NO_NUMBERS = {"note": "text", "none": None, "list": [1, 2], "array": np.ones(3)}


def events(folder):
    """Every event in the files of a folder, as TensorBoard reads them: length, its checksum, event, its checksum."""
    for path in sorted(folder.glob("events*")):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            crcs = struct.unpack("<I", content[8:12]) + struct.unpack("<I", content[12 + length : 16 + length])
            data, content = content[12 : 12 + length], content[16 + length :]
            assert crcs == (masked_crc32c(struct.pack("<Q", length)), masked_crc32c(data))
            yield event_pb2.Event.FromString(data)


def scalars(folder):
    return [
        (event.step, {value.tag: value.simple_value for value in event.summary.value})
        for event in events(folder)
        if event.summary.value
    ]


def test_tensorboard_draws_a_curve_a_seed(tmp_path):
    board = TensorBoard(tmp_path / "tensorboard")
    board.row(ROW | NO_NUMBERS)
    board.row({"seed": 0, "step": 3_000_000_000, "score": 2})
    board.row({"step": 11, "steps_per_second": 4.0})
    board.close()
    assert scalars(tmp_path / "tensorboard" / "seed-1") == [(10, {"score": 0.5, "loss/policy": 1.5, "solved": 1.0})]
    assert scalars(tmp_path / "tensorboard" / "seed-0") == [(3_000_000_000, {"score": 2.0})]
    assert scalars(tmp_path / "tensorboard") == [(11, {"steps_per_second": 4.0})]
    assert next(events(tmp_path / "tensorboard")).file_version == "brain.Event:2"


def test_a_resumed_tensorboard_hides_what_was_undone_and_keeps_the_old_files(tmp_path):
    for resumed_at in (None, 10, 10):  # all in one second
        board = TensorBoard(tmp_path, resumed_at)
        board.row(ROW | {"step": 20})
        board.close()
    assert len(scalars(tmp_path / "seed-1")) == 3
    starts = [event.step for event in events(tmp_path / "seed-1") if event.HasField("session_log")]
    assert starts == [11, 11]  # TensorBoard drops events of step >= 11 that came before
    assert {event.session_log.status for event in events(tmp_path / "seed-1") if event.HasField("session_log")} == {
        event_pb2.SessionLog.START
    }


def test_tensorboard_on_a_full_disk_is_an_error_and_does_not_hang(tmp_path, monkeypatch):
    board = TensorBoard(tmp_path)
    board.row(ROW)

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match="the disk is full"):
        board.flush()
    monkeypatch.setattr("bellmax.runs.sinks._FLUSH_EVERY", 0.0)
    with pytest.raises(RunFolderError, match="the disk is full"):
        board.row(ROW)


class Calls(ModuleType):
    """A library that writes down what is asked of it."""

    def __init__(self, name):
        super().__init__(name)
        self.made = []

    def note(self, name, result=None):
        def called(*args, **kwargs):
            self.made.append((name, args, kwargs))
            return result

        return called


def test_weights_and_biases(monkeypatch):
    wandb = Calls("wandb")
    run = SimpleNamespace(log=wandb.note("log"), define_metric=wandb.note("define"), finish=wandb.note("finish"))
    wandb.init = wandb.note("init", run)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    sink = WeightsAndBiases("project", "name", {"clip": math.inf, "sizes": (1, 2)}, mode="offline")
    sink.row(ROW | NO_NUMBERS)
    sink.row(ROW | {"step": 20, "loss/policy": math.nan})
    sink.row({"step": 5, "score": 1})
    sink.close()
    config = {"clip": "inf", "sizes": [1, 2]}
    assert wandb.made[0] == ("init", (), {"project": "project", "name": "name", "config": config, "mode": "offline"})
    logged = [args[0] for name, args, _ in wandb.made if name == "log"]
    assert logged[0] == {"seed-1/step": 10, "seed-1/score": 0.5, "seed-1/loss/policy": 1.5, "seed-1/solved": 1.0}
    assert math.isnan(logged[1]["seed-1/loss/policy"])
    assert logged[2] == {"step": 5, "score": 1.0}
    defined = [(args, kwargs.get("step_metric")) for name, args, kwargs in wandb.made if name == "define"]
    assert defined == [(("seed-1/step",), None), (("seed-1/*",), "seed-1/step"), (("step",), None), (("*",), "step")]
    assert all("step" not in kwargs for name, _, kwargs in wandb.made if name == "log")  # W&B's own may only grow
    assert wandb.made[-1][0] == "finish"


@pytest.mark.parametrize("known", [True, False])
def test_mlflow(monkeypatch, known):
    mlflow, entities = Calls("mlflow"), Calls("mlflow.entities")
    entities.Metric = lambda key, value, timestamp, step: ("metric", key, value, step)
    entities.Param = lambda key, value: ("param", key, value)
    client = SimpleNamespace(
        get_experiment_by_name=mlflow.note("find", SimpleNamespace(experiment_id="7") if known else None),
        create_experiment=mlflow.note("create", "8"),
        create_run=mlflow.note("run", SimpleNamespace(info=SimpleNamespace(run_id="r"))),
        log_batch=mlflow.note("log"),
        set_terminated=mlflow.note("end"),
    )
    mlflow.MlflowClient = mlflow.note("client", client)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    sink = MLflow(
        "experiment",
        "name",
        {"algorithm": {"gamma": 0.5, "sizes": (1, 2)}, "many": dict.fromkeys(map(str, range(150)), 0)},
    )
    sink.row(ROW | NO_NUMBERS)
    sink.close()
    assert ("run", ("7" if known else "8",), {"run_name": "name"}) in mlflow.made
    batches = [(args, kwargs) for name, args, kwargs in mlflow.made if name == "log"]
    params = [param for _, kwargs in batches for param in kwargs.get("params", [])]
    assert params[:3] == [
        ("param", "algorithm.gamma", "0.5"),
        ("param", "algorithm.sizes", "[1, 2]"),
        ("param", "many.0", "0"),
    ]
    assert [len(kwargs["params"]) for _, kwargs in batches[:-1]] == [100, 52]
    metrics = [
        ("metric", "seed-1/score", 0.5, 10),
        ("metric", "seed-1/loss/policy", 1.5, 10),
        ("metric", "seed-1/solved", 1.0, 10),
    ]
    assert batches[-1] == (("r",), {"metrics": metrics})
    assert mlflow.made[-1] == ("end", ("r",), {})


@pytest.mark.parametrize(("sink", "package"), [(WeightsAndBiases, "wandb"), (MLflow, "mlflow")])
def test_a_missing_library_says_how_to_get_it(monkeypatch, sink, package):
    monkeypatch.setattr(sys, "meta_path", [Missing(package), *sys.meta_path])
    monkeypatch.delitem(sys.modules, package, raising=False)
    with pytest.raises(ImportError, match=rf'{package} is not installed: run `pip install "bellmax\[{package}\]"`'):
        sink("a", "b", {})
    monkeypatch.setattr(sys, "meta_path", [Missing(package, "inner"), *sys.meta_path[1:]])
    with pytest.raises(ModuleNotFoundError, match="No module named 'inner'"):  # its own trouble is not hidden
        sink("a", "b", {})


class Missing:
    """A finder that says a package is missing, or something that it needs."""

    def __init__(self, package, culprit=None):
        self.package, self.culprit = package, culprit or package

    def find_spec(self, name, _path=None, _target=None):
        if name == self.package:
            raise ModuleNotFoundError(f"No module named {self.culprit!r}", name=self.culprit)


def test_importing_bellmax_imports_no_tracker(run_python):
    output = run_python("import sys, bellmax.runs; print({'wandb', 'mlflow', 'tensorboardX'} & set(sys.modules))")
    assert output.strip() == "set()"
