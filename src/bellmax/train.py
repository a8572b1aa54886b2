"""The front door: train, resume, load, sweep."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bellmax import display as displays
from bellmax import processes
from bellmax.algorithms.wrappers.normalised import Normalised
from bellmax.algorithms.wrappers.scaled_rewards import ScaledRewards
from bellmax.catalogue import algorithm_class, algorithm_name
from bellmax.compilation import use_cache
from bellmax.core import Algorithm
from bellmax.display import Display, Facts
from bellmax.encode import spec_from_plain
from bellmax.engine import engine, template
from bellmax.envs.names import find
from bellmax.maths.schedules import resolve
from bellmax.plan import Plan, planned
from bellmax.recipes import find as find_recipe
from bellmax.run import Run
from bellmax.runs import MLflow, RunFolder, TensorBoard, WeightsAndBiases, load as load_checkpoint, provenance
from bellmax.session import Session, latest_score

DEFAULT_STEPS = 100_000
DEFAULT_ENVS = 8
TRACKERS = ("tensorboard", "wandb", "mlflow")


def train(
    algorithm: str | Algorithm,
    env: Any,
    *,
    steps: int | None = None,
    num_envs: int | None = None,
    seeds: int | Sequence[int] = 1,
    recipe: str = "auto",
    normalise: bool | None = None,
    scale_rewards: bool | None = None,
    env_options: Mapping[str, Any] | None = None,
    run_folder: str | Path | None = "runs",
    name: str | None = None,
    log_every: int | None = None,
    evaluate_every: int | None = None,
    evaluation_episodes: int = 100,
    checkpoint_every: int | None = None,
    display: str = "auto",
    track: Sequence[str] = ("tensorboard",),
) -> Run:
    """Train an algorithm in an environment -> the run.

    algorithm      an Algorithm, used as it is; or a name ("ppo"), with the recipe for the environment if there is one
    env            a Gymnasium id, "gymnax:ID", "bellmax:NAME", an in-graph Env, or a Gymnasium class, factory or object
    steps          environment steps of each seed, all its environments together
    seeds          how many, or which; they are trained together
    recipe         "auto" or "none" (the paper's defaults); says nothing about an Algorithm that is passed
    normalise, scale_rewards     wrap the algorithm in Normalised, ScaledRewards
    run_folder     where to make the run's folder; None keeps everything in memory
    log_every, evaluate_every, checkpoint_every      in steps; evaluations are greedy, 0 (the default) has none
    display        "auto", "live", "lines", "json" or "quiet"
    track          any of "tensorboard", "wandb", "mlflow"; needs a run folder

    Everything is checked before any work starts: ValueError, TypeError or UnknownEnvironment say what to change.
    Ctrl-C saves the run and raises KeyboardInterrupt; `resume` goes on.
    """
    use_cache()
    source = find(env, **(env_options or {}))
    plan = _plan(algorithm, source, steps, num_envs, recipe, normalise, scale_rewards)
    length, trackers = plan["steps"], _trackers(track)
    made = Plan(
        **plan,
        env=source,
        seeds=tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds),
        log_every=log_every or max(1, length // 100),
        checkpoint_every=checkpoint_every or max(1, length // 10),
        evaluate_every=evaluate_every or 0,
        evaluation_episodes=evaluation_episodes,
        track=trackers if run_folder is not None else (),
    )
    folder = None if run_folder is None else _folder(run_folder, name, made)
    return carry_out(made, folder, displays.make(display))


def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    algorithm: type[Algorithm] | None = None,
    env: Any = None,
    checkpoint: str | Path | None = None,
    display: str = "auto",
) -> Run:
    """Go on with a run that stopped, from its latest checkpoint or the one given, to its end or to `steps`.

    Runs in the graph go on bit for bit as if they had never stopped. On the host everything but the simulators goes on:
    their episodes start anew. `algorithm` and `env` stand in for classes that the run's config cannot find again.
    """
    use_cache()
    folder = RunFolder.open(path)
    plan = planned(folder.config, algorithm, env)
    if steps is not None and steps != plan.steps:
        plan = Plan(**{**vars(plan), "steps": steps})
        folder.write_config({**folder.config, "steps": steps})
    return carry_out(plan, folder, displays.make(display), checkpoint)


def load(
    path: str | Path, *, checkpoint: str | Path | None = None, algorithm: type[Algorithm] | None = None, env: Any = None
) -> Run:
    """A run from its folder, as of its latest checkpoint or the one given. Files from strangers are safe to read."""
    folder = RunFolder.open(path)
    plan = planned(folder.config, algorithm, env)
    spec = spec_from_plain(folder.config["spec"])
    if folder.children:
        trees, metas = zip(*(_read(child, planned(child.config, algorithm, env), spec) for child in folder.children))
        tree = jax.tree.map(lambda *x: np.concatenate([np.asarray(i) for i in x]), *map(_raw, trees))
        tree = jax.tree.map(_cooked, tree, trees[0])
        meta = {"taken": [meta["taken"][0] for meta in metas], "seconds": sum(meta["seconds"] for meta in metas)}
    else:
        tree, meta = _read(folder, plan, spec, checkpoint)
    timing = {"compile": 0.0, "run": meta["seconds"], "steps": sum(meta["taken"])}
    timing["steps_per_second"] = timing["steps"] / meta["seconds"] if meta["seconds"] else 0.0
    return Run(plan, spec, tree, meta, folder.metrics(), folder.evaluations(), timing, folder)


def sweep(algorithm: str | Algorithm, env: Any, over: Mapping[str, Sequence[Any]], **options: Any) -> list[Run]:
    """Train once for every combination of hyperparameters -> runs. Floats do not compile again.

    sweep("ppo", "gymnax:CartPole-v1", {"learning_rate": [1e-4, 3e-4, 1e-3]}, seeds=5). `options` are those of `train`.
    """
    source = find(env, **(options.pop("env_options", None) or {}))
    if isinstance(algorithm, str):
        found = None if options.get("recipe") == "none" else find_recipe(algorithm, source_name(source))
        algorithm = found.algorithm if found else algorithm_class(algorithm)()
        if found:
            options = {"steps": found.steps, "num_envs": found.num_envs} | options
    settings = [dict(zip(over, values)) for values in itertools.product(*over.values())]
    variants = [algorithm.replace(**changes) for changes in settings]  # all are checked before the first is trained
    name = options.pop("name", None) or f"sweep-{algorithm_name(type(algorithm))}"
    labels = ["-".join(f"{key}={value}" for key, value in changes.items()) for changes in settings]
    return [train(v, source, name=f"{name}-{label}", **options) for v, label in zip(variants, labels)]


def carry_out(plan: Plan, folder: RunFolder | None, display: Display, checkpoint: str | Path | None = None) -> Run:
    """Train what is left of a plan, and give the run back."""
    if not plan.ingraph and len(plan.seeds) > 1:
        return processes.carry_out(plan, folder, display, load)
    with folder.lock() if folder is not None else contextlib.nullcontext():
        tree, meta = (None, {}) if folder is None else _latest(folder, plan, checkpoint)
        made = engine(plan, tree, meta.get("sessions", 0))
        try:
            return _sit(plan, folder, display, made, meta)
        finally:
            made.close()


def _sit(plan: Plan, folder: RunFolder | None, display: Display, made: Any, meta: dict[str, Any]) -> Run:
    """One sitting: compile, train, and say how it went."""
    if folder is not None and not (folder.path / "config.json").exists():
        folder.write_config(plan.config(made.spec) | {"provenance": provenance()})
    sinks = tuple(_sink(name, folder, plan, meta) for name in plan.track) if folder is not None else ()
    past = {"taken": meta.get("taken"), "seconds": meta.get("seconds", 0.0), "sessions": meta.get("sessions", 0)}
    session = Session(plan, made, display, folder, sinks, **past)
    display.start(facts(plan, folder, min(session.taken)))
    if meta and not plan.ingraph:
        display.note("the simulators could not be saved: their episodes start anew")
    status = "failed"
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
    meta = {"taken": session.taken, "seconds": session.seconds, "sessions": session.sessions}
    return Run(plan, made.spec, made.tree(), meta, rows, evaluations, session.timing, folder)


def facts(plan: Plan, folder: RunFolder | None, taken: int) -> Facts:
    """What a display shows first."""
    driver = "ingraph" if plan.ingraph else "hosted"
    where = str(folder.path) if folder is not None else None
    return Facts(
        plan.algorithm_name, plan.env_name, driver, plan.steps, plan.num_envs, list(plan.seeds), plan.recipe, where, taken
    )


def summary(session: Session, status: str, folder: RunFolder | None) -> dict[str, Any]:
    """What a display shows last."""
    score = latest_score(session.rows, session.plan.seeds)
    return {"status": status, **session.timing, "score": score, "folder": str(folder.path) if folder else None}


def source_name(source: Any) -> str:
    """The name under which recipes know an environment."""
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else type(source).__name__


def _plan(
    algorithm: str | Algorithm,
    source: Any,
    steps: int | None,
    num_envs: int | None,
    recipe: str,
    normalise: bool | None,
    scale_rewards: bool | None,
) -> dict[str, Any]:
    """Hyperparameters from what was asked for, the recipe if there is one, and the defaults, in this order."""
    if recipe not in ("auto", "none"):
        raise ValueError(f"recipe = {recipe!r}: choose 'auto' or 'none'.")
    found = None
    if isinstance(algorithm, str):
        kind = algorithm_class(algorithm)
        found = find_recipe(algorithm_name(kind), source_name(source)) if recipe == "auto" else None
        algorithm = found.algorithm if found else kind()
    if steps is None:
        steps = found.steps if found else DEFAULT_STEPS
    if num_envs is None:
        num_envs = found.num_envs if found else DEFAULT_ENVS
    if scale_rewards if scale_rewards is not None else found is not None and found.scale_rewards:
        algorithm = ScaledRewards(algorithm, gamma=getattr(algorithm, "gamma", 0.99))
    if normalise if normalise is not None else found is not None and found.normalise:
        algorithm = Normalised(algorithm)
    algorithm = resolve(algorithm, steps)
    return {"algorithm": algorithm, "steps": steps, "num_envs": num_envs, "recipe": found.name if found else None}


def _trackers(track: Sequence[str]) -> tuple[str, ...]:
    for name in track:
        if name not in TRACKERS:
            raise ValueError(f"track = {list(track)}: there is no {name!r}, choose from {', '.join(TRACKERS)}.")
    return tuple(track)


def _folder(root: str | Path, name: str | None, plan: Plan) -> RunFolder:
    return RunFolder.create(root, name or f"{plan.algorithm_name}-{plan.env_name}", stamp=name is None)


def _sink(name: str, folder: RunFolder, plan: Plan, meta: dict[str, Any]) -> Any:
    if name == "tensorboard":
        return TensorBoard(folder.tensorboard, resumed_at=min(meta["taken"]) if meta else None)
    config = folder.config
    return {"wandb": WeightsAndBiases, "mlflow": MLflow}[name]("bellmax", folder.path.name, config)


def _latest(folder: RunFolder, plan: Plan, checkpoint: str | Path | None) -> tuple[Any, dict[str, Any]]:
    """The tree to go on with and what was done before; nothing for a run that never saved."""
    if not (folder.path / "config.json").exists() or (checkpoint is None and folder.checkpoints.latest() is None):
        return None, {}
    tree, meta = _read(folder, plan, spec_from_plain(folder.config["spec"]), checkpoint)
    for seed, taken in zip(plan.seeds, meta["taken"]):
        folder.rewind(taken, seed)
    folder.checkpoints.rewind(max(meta["taken"]))
    return tree, meta


def _read(
    folder: RunFolder, plan: Plan, spec: Any, checkpoint: str | Path | None = None
) -> tuple[Any, dict[str, Any]]:
    found = checkpoint or folder.checkpoints.latest()
    if found is None:
        raise ValueError(f"{folder.path} holds no checkpoint: nothing was trained there yet; use bellmax resume.")
    return load_checkpoint(found, template(plan, spec))


def _raw(tree: Any) -> Any:
    """Random keys as plain numbers."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if _is_key(x) else x, tree)


def _cooked(x: Any, like: Any) -> Any:
    return jax.random.wrap_key_data(x) if _is_key(like) else x


def _is_key(x: Any) -> bool:
    return isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
