"""One sitting of a run: from its folder's latest checkpoint, or from nothing, to its end or to an interruption."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from bellmax import processes
from bellmax.display import Display, Facts
from bellmax.encode import spec_from_plain
from bellmax.engine import engine
from bellmax.loading import load, read
from bellmax.plan import Plan
from bellmax.run import Run
from bellmax.runs import MLflow, RunFolder, TensorBoard, WeightsAndBiases, provenance
from bellmax.runs.folder import Status
from bellmax.session import Session, latest_score
from bellmax.starting import begin


def carry_out(plan: Plan, folder: RunFolder | None, display: Display, checkpoint: str | Path | None = None) -> Run:
    """Train what is left of a plan, and give the run back."""
    if plan.driver == "hosted" and len(plan.seeds) > 1:
        return processes.carry_out(plan, folder, display, load)
    with folder.lock() if folder is not None else contextlib.nullcontext():
        tree, meta = (None, {}) if folder is None else _latest(folder, plan, checkpoint)
        made = engine(plan, tree, meta.get("sessions", 0), display.note)
        if tree is None and plan.driver != "language":
            begin(plan, made, display.note)
        if folder is not None and plan.driver == "language":
            made.keep_sample = folder.append_sample  # type: ignore[attr-defined]
        try:
            return _sit(plan, folder, display, made, meta)
        finally:
            made.close()


def paces(length: int, log_every: int | None, checkpoint_every: int | None) -> dict[str, Any]:
    """How often a run of this length logs and saves, where nobody says: a hundred times, and ten."""
    return {
        "log_every": log_every or max(1, length // 100),
        "checkpoint_every": checkpoint_every or max(1, length // 10),
    }


def _sit(plan: Plan, folder: RunFolder | None, display: Display, made: Any, meta: dict[str, Any]) -> Run:
    """One sitting: compile, train, and say how it went."""
    if folder is not None and not (folder.path / "config.json").exists():
        folder.write_config(plan.config(made.spec) | {"provenance": provenance()})
    sinks = tuple(_sink(name, folder, plan, meta) for name in plan.track) if folder is not None else ()
    session = Session(plan, made, display, folder, sinks, meta)
    display.start(facts(plan, folder, min(session.taken)))
    if meta and plan.driver == "hosted":
        display.note("the simulators could not be saved: their episodes start anew")
    status: Status = "failed"
    try:
        if folder is not None:
            folder.status = "running"
        session.compile()
        session.go()
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        if folder is not None:
            folder.status = status
        for sink in sinks:
            sink.close()
        display.finish(summary(session, status, folder))
    rows = folder.metrics() if folder is not None else session.rows
    evaluations = folder.evaluations() if folder is not None else session.evaluations
    how_it_went = session.past, rows, evaluations, session.timing, folder
    if plan.driver == "language":
        from bellmax.alignment.run import AlignmentRun

        return AlignmentRun(plan, made.spec, made.tree(), *how_it_went)  # type: ignore[arg-type,return-value]
    return Run(plan, made.spec, made.tree(), *how_it_went)


def facts(plan: Plan, folder: RunFolder | None, taken: int) -> Facts:
    """What a display shows first."""
    where = str(folder.path) if folder is not None else None
    return Facts(
        plan.algorithm_name,
        plan.env_name,
        plan.driver,
        plan.steps,
        plan.num_envs,
        list(plan.seeds),
        plan.recipe,
        where,
        taken,
    )


def summary(session: Session, status: str, folder: RunFolder | None) -> dict[str, Any]:
    """What a display shows last."""
    score = latest_score(session.rows, session.plan.seeds)
    return {"status": status, **session.timing, "score": score, "folder": str(folder.path) if folder else None}


def _sink(name: str, folder: RunFolder, plan: Plan, meta: dict[str, Any]) -> Any:
    if name == "tensorboard":
        return TensorBoard(folder.tensorboard, resumed_at=min(meta["taken"]) if meta else None)
    library = WeightsAndBiases if name == "wandb" else MLflow
    return library("bellmax", folder.path.name, folder.config)


def _latest(folder: RunFolder, plan: Plan, checkpoint: str | Path | None) -> tuple[Any, dict[str, Any]]:
    """The tree to go on with and what was done before; nothing for a run that never saved."""
    if not (folder.path / "config.json").exists() or (checkpoint is None and folder.checkpoints.latest() is None):
        return None, {}
    tree, meta = read(folder, plan, spec_from_plain(folder.config["spec"]), checkpoint)
    for seed, taken in zip(plan.seeds, meta["taken"]):
        folder.rewind(taken, seed)
    folder.checkpoints.rewind(max(meta["taken"]))
    return tree, meta
