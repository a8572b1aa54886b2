"""The front door: train and resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bellmax import display as displays
from bellmax import starting
from bellmax.algorithms.wrappers.normalised import Normalised
from bellmax.algorithms.wrappers.scaled_rewards import ScaledRewards
from bellmax.catalogue import algorithm_class, algorithm_name, as_published
from bellmax.compilation import use_cache
from bellmax.core import Algorithm, Env
from bellmax.data import find as find_data
from bellmax.data.engine import spec_of
from bellmax.drivers.learn import eats
from bellmax.envs.names import find
from bellmax.envs.parameters import innermost
from bellmax.envs.with_simulator import WithSimulator
from bellmax.maths.schedules import resolve
from bellmax.plan import Plan, planned
from bellmax.recipes import Recipe, configured
from bellmax.recipes import find as find_recipe
from bellmax.run import Run
from bellmax.runs import RunFolder
from bellmax.sitting import carry_out, paces

DEFAULT_STEPS = 100_000
DEFAULT_ENVS = 8
TRACKERS = ("tensorboard", "wandb", "mlflow")


def train(
    algorithm: str | Algorithm,
    env: Any,
    *,
    data: Any = None,
    start_from: Any = None,
    frozen: Sequence[str] = (),
    steps: int | None = None,
    num_envs: int | None = None,
    seeds: int | Sequence[int] = 1,
    hyperparameters: Mapping[str, Any] | None = None,
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
    overlap: bool = False,
) -> Run:
    """Train an algorithm in an environment -> the run.

    algorithm      an Algorithm, used as it is; or a name ("ppo"), with the recipe for the environment if there is one
    env            a Gymnasium id, "gymnax:ID", "bellmax:NAME", an in-graph Env, or a Gymnasium class, factory or object
    data           logged steps: a .npz or .parquet file, "minari:ID", a run's folder, a dict of arrays (see
                   docs/offline.md). With a Dataset as experience they are all there is, and the environment only says
                   what fits, and evaluates; one that replays begins with them in its buffer, and its own steps join
    start_from     a run, its folder, or a checkpoint in it, with whose weights this one begins: the algorithm and its
                   layers must be alike; optimisers and schedules begin anew (see docs/robustness.md)
    frozen         names of layers that do not move, as in ("torsos",); see `PartlyFrozen`
    steps          environment steps of each seed, all its environments together; with a Dataset, updates
    seeds          how many, or which; they are trained together
    hyperparameters     to change on top of the recipe or the algorithm, by name
    recipe         "auto" or "none" (the paper's defaults); says nothing about an Algorithm that is passed
    normalise, scale_rewards     wrap the algorithm in Normalised, ScaledRewards
    run_folder     where to make the run's folder; None keeps everything in memory
    log_every, evaluate_every, checkpoint_every      in steps; evaluations are greedy, 0 (the default) has none;
                   with a Dataset the default is a tenth of the run
    display        "auto", "live", "lines", "json" or "quiet"
    overlap        on the host, learn while the environments step; actions are then chosen one update earlier
    track          any of "tensorboard", "wandb", "mlflow"; needs a run folder

    Everything is checked before any work starts: ValueError, TypeError or UnknownEnvironment say what to change.
    Ctrl-C saves the run and raises KeyboardInterrupt; `resume` goes on.
    """
    use_cache()
    shown, source = displays.make(display), find(env, **(env_options or {}))
    plan = _plan(algorithm, source, steps, num_envs, hyperparameters or {}, recipe, normalise, scale_rewards, frozen)
    plan |= paces(plan["steps"], log_every, checkpoint_every) | {"evaluation_episodes": evaluation_episodes}
    plan["evaluate_every"] = _evaluations(evaluate_every, plan["algorithm"], plan["steps"])
    plan["seeds"] = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    plan |= {"track": _trackers(track, run_folder is not None), "overlap": overlap}
    made = _fitting(plan, source, data, start_from)
    return carry_out(made, None if run_folder is None else _folder(run_folder, name, made), shown)


def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    algorithm: type[Algorithm] | None = None,
    env: Any = None,
    reward: Any = None,
    data: Any = None,
    checkpoint: str | Path | None = None,
    display: str = "auto",
) -> Run:
    """Go on with a run that stopped, from its latest checkpoint or the one given, to its end or to `steps`.

    Runs in the graph, and those of language models, go on bit for bit as if they had never stopped. On the host
    everything but the simulators goes on: their episodes start anew. `algorithm` and `env`, and `reward` for language
    models, stand in for classes and functions that the run's config cannot find again, and `data` for logged steps that
    have no name or were moved; those that began in a replay buffer are in the checkpoints.
    """
    use_cache()
    folder = RunFolder.open(path)
    if folder.config.get("family") == "language":
        from bellmax.alignment.front import go_on

        return go_on(path, steps=steps, reward=reward, checkpoint=checkpoint, display=display)  # type: ignore[return-value]
    plan = planned(folder.config, algorithm, env, data)
    if steps is not None and steps != plan.steps:
        plan = Plan(**{**vars(plan), "steps": steps})
        folder.write_config({**folder.config, "steps": steps})
    return carry_out(plan, folder, displays.make(display), checkpoint)


def default_envs(algorithm: Algorithm) -> int:
    """How many environments side by side. One where steps are replayed: more would mean fewer updates for each step."""
    return 1 if eats(algorithm).replays else DEFAULT_ENVS


def source_name(source: Any) -> str:
    """The name under which recipes know an environment."""
    world = innermost(source)
    name = getattr(world, "name", None)
    return name if isinstance(name, str) else type(world).__name__


def _plan(
    algorithm: str | Algorithm,
    source: Any,
    steps: int | None,
    num_envs: int | None,
    hyperparameters: Mapping[str, Any],
    recipe: str,
    normalise: bool | None,
    scale_rewards: bool | None,
    frozen: Sequence[str],
) -> dict[str, Any]:
    """Hyperparameters from what was asked for, the recipe if there is one, and the defaults, in this order."""
    if recipe not in ("auto", "none"):
        raise ValueError(f"recipe = {recipe!r}: choose 'auto' or 'none'.")
    found: Recipe | None = None
    chosen: Algorithm
    if isinstance(algorithm, str):
        kind = algorithm_class(algorithm)
        found = find_recipe(algorithm_name(kind), source_name(source)) if recipe == "auto" else None
        chosen = found.algorithm if found else as_published(kind)
    else:
        chosen = algorithm
    if steps is None:
        steps = found.steps if found else DEFAULT_STEPS
    if num_envs is None:
        num_envs = found.num_envs if found else default_envs(chosen)
    for key, value in (("steps", steps), ("num_envs", num_envs)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{key} = {value!r}: give a whole number of at least 1.")
    chosen = configured(chosen, dict(hyperparameters))
    if plans(chosen):
        chosen = _knowing(chosen, source, normalise, scale_rewards)
    if scale_rewards if scale_rewards is not None else found is not None and found.scale_rewards:
        chosen = ScaledRewards(chosen, gamma=getattr(chosen, "gamma", 0.99))
    if normalise if normalise is not None else found is not None and found.normalise:
        chosen = Normalised(chosen)
    chosen = resolve(chosen, steps)
    if frozen:
        chosen = starting.with_frozen(chosen, frozen)
    return {"algorithm": chosen, "steps": steps, "num_envs": num_envs, "recipe": found.name if found else None}


def _fitting(settings: dict[str, Any], source: Any, data: Any, start_from: Any) -> Plan:
    """The plan, after all that could stand in its way was looked at: nothing was made yet."""
    algorithm, num_envs = settings["algorithm"], settings["num_envs"]
    world = _checked(source, algorithm)
    spec = spec_of(world, num_envs)
    found = None if data is None else find_data(data, spec)
    plan = Plan(**settings, env=world, data=found, start=starting.fitting(start_from, algorithm, spec))
    starting.rehearse(plan, spec)
    return plan


def _checked(source: Any, algorithm: Algorithm) -> Any:
    """The environment as the algorithm sees it. What breaks Gymnasium's contract is said before there is a folder."""
    if not isinstance(source, Env):
        source.check()
    return WithSimulator(source) if plans(algorithm) else source


def _evaluations(every: int | None, algorithm: Algorithm, length: int) -> int:
    """Steps between two evaluations; where nobody says, none, but ten of what learns from logged steps alone."""
    return every if every is not None else max(1, length // 10) if eats(algorithm).logged else 0


def plans(algorithm: Algorithm) -> bool:
    """Does it search in the environment before it acts? Then it has a field for the rules."""
    return "rules" in {field.name for field in dataclasses.fields(algorithm)}  # type: ignore[arg-type]


def _knowing(algorithm: Algorithm, source: Any, normalise: bool | None, scale_rewards: bool | None) -> Algorithm:
    """An algorithm that plans, with the rules of its environment."""
    name = algorithm_name(type(algorithm))
    if not isinstance(source, Env):
        raise ValueError(
            f"{name} plans with the rules, so its environment must be in the graph, such as pgx:tic_tac_toe, and "
            f"{source_name(source)} is on the host."
        )
    if normalise or scale_rewards:
        raise ValueError(f"normalise, scale_rewards: {name} searches in the rules, whose numbers are as they are.")
    return algorithm.replace(rules=source)


def _trackers(track: Sequence[str], kept: bool) -> tuple[str, ...]:
    for name in track:
        if name not in TRACKERS:
            raise ValueError(f"track = {list(track)}: there is no {name!r}, choose from {', '.join(TRACKERS)}.")
    return tuple(track) if kept else ()


def _folder(root: str | Path, name: str | None, plan: Plan) -> RunFolder:
    return RunFolder.create(root, name or f"{plan.algorithm_name}-{plan.env_name}", stamp=name is None)
