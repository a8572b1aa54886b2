"""The front door of language models: align, and go on with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from bellmax import display as displays
from bellmax.alignment.finding import find_materials, found_again, keep_beginning
from bellmax.alignment.plan import AlignmentPlan
from bellmax.alignment.run import AlignmentRun
from bellmax.catalogue import algorithm_name, language_class
from bellmax.compilation import use_cache
from bellmax.encode import from_plain
from bellmax.maths.schedules import resolve
from bellmax.recipes import configured, find_language
from bellmax.runs import RunFolder
from bellmax.sitting import carry_out, paces

DEFAULT_STEPS = 100
EPOCHS = 3  # of rows that are read


def align(
    algorithm: Any,
    model: Any,
    data: Any,
    *,
    reward: Any = None,
    tokeniser: Any = None,
    critic: Any = None,
    adapters: int | None = None,
    held_out: Any = None,
    steps: int | None = None,
    seed: int = 0,
    hyperparameters: Mapping[str, Any] | None = None,
    run_folder: str | Path | None = "runs",
    name: str | None = None,
    log_every: int | None = None,
    evaluate_every: int | None = None,
    evaluation_episodes: int = 100,
    checkpoint_every: int | None = None,
    devices: tuple[int, int] | None = None,
    display: str = "auto",
    track: Sequence[str] = ("tensorboard",),
) -> AlignmentRun:
    """Train a language model -> the run.

    algorithm      "sft", "reward", "dpo", "grpo", "ppo-lm", ... (`bellmax algorithms` lists them), or an object
    model          a Hugging Face folder, a .gguf file or "smollm2"; a run, or its folder; a Transformer, with
                   `tokeniser`; to begin from nothing on a built-in task a ModelConfig, or "tiny"
    data           a .jsonl or .parquet file, rows (dicts), or the name of a built-in task ("reverse")
    reward         a function of (prompt, completion, row), its name, a trained reward model's run, or several in a
                   dict: {name: function} or {name: (function, weight)}; a built-in task brings its own
    critic         a reward model's run, which PPO's critic begins as
    adapters       train low-rank adapters of this rank instead of all weights
    held_out       rows to evaluate on; a built-in task brings its own
    steps          updates; left out, 3 epochs of rows that are read, or 100 updates
    log_every, evaluate_every, checkpoint_every      in updates; evaluations are greedy, 0 (the default) has none
    devices        (data, model): so many share the rows of a batch, and so many of each of these the weights

    The rest is as in `bellmax.train`. Everything is checked before any work starts. Ctrl-C saves the run and raises
    KeyboardInterrupt; `bellmax.resume` goes on, bit for bit.
    """
    use_cache()
    shown = displays.make(display)
    chosen, recipe_steps = _chosen(algorithm, data, hyperparameters or {})
    materials = find_materials(chosen, model, data, reward, tokeniser, critic, adapters, held_out)
    _can_be_evaluated(chosen, materials, evaluate_every)
    length = recipe_steps or default_steps(chosen, len(materials.rows)) if steps is None else steps
    plan = AlignmentPlan(
        algorithm=resolve(chosen, length),
        materials=materials,
        steps=length,
        seeds=(seed,),
        evaluate_every=evaluate_every or 0,
        evaluation_episodes=evaluation_episodes,
        track=tuple(track) if run_folder is not None else (),
        **paces(length, log_every, checkpoint_every),
        recipe=f"{algorithm_name(type(chosen))} on {data}" if recipe_steps else None,
        devices=None if devices is None else tuple(devices),  # type: ignore[arg-type]
    )
    return carry_out(plan, _made_folder(run_folder, name, plan), shown)  # type: ignore[arg-type,return-value]


def _made_folder(root: str | Path | None, name: str | None, plan: AlignmentPlan) -> RunFolder | None:
    """A new run folder in `root`, with what the run begins with; None where nothing is to be kept."""
    if root is None:
        return None
    folder = RunFolder.create(root, name or f"{plan.algorithm_name}-{plan.env_name}", stamp=name is None)
    keep_beginning(folder.path, plan)
    return folder


def _chosen(algorithm: Any, data: Any, hyperparameters: Mapping[str, Any]) -> tuple[Any, int | None]:
    """The learner, from its recipe for a built-in task if it goes by its name; updates, if the recipe says how many."""
    recipe_steps = None
    if isinstance(algorithm, str):
        kind = language_class(algorithm)
        found = find_language(algorithm_name(kind), data) if isinstance(data, str) else None
        algorithm, recipe_steps = found or (kind(), None)
    return configured(algorithm, dict(hyperparameters)), recipe_steps


def _can_be_evaluated(algorithm: Any, materials: Any, every: int | None) -> None:
    """ValueError if evaluations are asked for and there is nothing to write, or nobody to judge it."""
    if every and getattr(algorithm, "judges", False):
        raise ValueError(f"evaluate_every = {every}: a reward model writes nothing that could be judged; leave it out.")
    if every and materials.rewards is None:
        raise ValueError(f"evaluate_every = {every}: these data have no reward; give one, as in reward=FUNCTION.")


def default_steps(algorithm: Any, rows: int) -> int:
    """Updates where nobody says how many."""
    experience = algorithm.experience
    return DEFAULT_STEPS if experience.written else max(1, EPOCHS * rows // experience.batch)


def go_on(
    path: str | Path,
    *,
    steps: int | None = None,
    reward: Any = None,
    checkpoint: str | Path | None = None,
    display: str = "auto",
) -> AlignmentRun:
    """Go on with a run that stopped. `reward` stands in for functions that its config cannot find again."""
    use_cache()
    folder = RunFolder.open(path)
    plan = again(folder, reward, steps)
    if steps is not None:
        folder.write_config({**folder.config, "steps": steps})
    return carry_out(plan, folder, displays.make(display), checkpoint)  # type: ignore[arg-type,return-value]


def _there(devices: Sequence[int] | None) -> Any:
    """The devices that a run had if there are as many here, else None: one does all, alike but for rounding."""
    return tuple(devices) if devices and math.prod(devices) <= jax.device_count() else None


def again(folder: RunFolder, reward: Any = None, steps: int | None = None) -> AlignmentPlan:
    """The plan in a run folder."""
    config = folder.config
    algorithm = from_plain(config["algorithm"])
    names = ("log_every", "checkpoint_every", "evaluate_every", "evaluation_episodes")
    return AlignmentPlan(
        algorithm=algorithm,
        materials=found_again(folder.path, config, algorithm, reward),
        steps=steps or config["steps"],
        seeds=tuple(config["seeds"]),
        track=tuple(config["track"]),
        recipe=config["recipe"],
        devices=_there(config.get("devices")),
        **{name: config[name] for name in names},
    )
