"""From words to what a run works with: models, data, rewards by name; and the same again from a run's folder."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from bellmax.alignment.plan import AlignmentPlan, Materials
from bellmax.alignment.policies import START, find_policy
from bellmax.encode import from_plain
from bellmax.language.config import ModelConfig, Rope
from bellmax.language.rewards import ModelReward, Rewards, find_reward
from bellmax.language.rows import read_rows
from bellmax.language.scored import Scored
from bellmax.language.tasks import find_task
from bellmax.language.tokeniser import Tokeniser
from bellmax.language.transformer import Transformer

TINY: dict[str, Any] = {"width": 128, "layers": 4, "heads": 4, "max_positions": 512}
TASK_ROWS, HELD_OUT = 4096, 256
OWN = "task"  # how a run's config calls the reward of the run's own task


def find_materials(
    algorithm: Any,
    model: Any,
    data: Any,
    reward: Any,
    tokeniser: Tokeniser | None,
    critic: Any,
    adapters: int | None,
    held_out: Any,
) -> Materials:
    """Everything that a run works with. ValueError or FileNotFoundError says what is missing."""
    task = find_task(data) if _is_task_name(data) else data if hasattr(data, "alphabet") else None
    rows, others, data_name = _find_rows(algorithm, data, task, held_out)
    begin, chosen, model_name = _find_model(model, tokeniser, task)
    rewards, names = _find_rewards(algorithm, reward, task)
    return Materials(
        model=begin,
        model_name=model_name,
        tokeniser=dataclasses.replace(chosen, now=datetime.datetime.now()),
        rows=rows,
        data_name=data_name,
        held_out=others,
        task=task,
        rewards=rewards,
        reward_names=names,
        critic=None if critic is None else _scored(critic),
        adapters=adapters,
    )


def _is_task_name(data: Any) -> bool:
    """Whether it names a task rather than a file: a file's name has an ending or a folder, or is there."""
    return isinstance(data, str) and not Path(data).suffix and len(Path(data).parts) == 1 and not Path(data).exists()


def _find_model(model: Any, tokeniser: Tokeniser | None, task: Any) -> tuple[Any, Tokeniser, str]:
    """-> the model, or the shape of one to begin from nothing; its tokeniser; its name."""
    if isinstance(model, ModelConfig) or (isinstance(model, str) and model == "tiny"):
        if tokeniser is None and task is None:
            said = repr(model) if isinstance(model, str) else "ModelConfig(...)"
            raise ValueError(f"model = {said}: a model from nothing needs a tokeniser, or a built-in task as data.")
        chosen = tokeniser or Tokeniser.characters(task.alphabet)
        return (ModelConfig(chosen.vocabulary, **TINY) if isinstance(model, str) else model), chosen, "tiny"
    if isinstance(model, Transformer):
        if tokeniser is None:
            raise ValueError(
                "model = Transformer(...): give its tokeniser too, as in tokeniser=Tokeniser.read(folder)."
            )
        return model, tokeniser, "a model made in a program"
    found = find_policy(model)
    if isinstance(found.model, Scored):
        raise ValueError(f"model = {model!r}: it is a reward model, and writes nothing; give it as reward or critic.")
    folder = getattr(model, "folder", None)
    return found.model, tokeniser or found.tokeniser, str(model if folder is None else folder.path)


def _find_rows(algorithm: Any, data: Any, task: Any, held_out: Any) -> tuple[Any, Any, str]:
    """-> rows, rows to evaluate on, the data's name."""
    if task is None:
        rows = read_rows(data, algorithm.reads)
        others = read_rows(held_out, "prompts") if held_out is not None else ()
        return rows, others, Path(data).stem if isinstance(data, str | Path) else "rows"
    make = task.preferences if algorithm.reads == "preferences" else task.rows
    if algorithm.reads not in ("preferences", "examples", "prompts"):
        raise ValueError(f"data = {data!r}: a built-in task has no rows of the kind {algorithm.reads!r}; give a file.")
    others = task.rows(1, HELD_OUT, held_out=True) if held_out is None else read_rows(held_out, "prompts")
    return make(0, TASK_ROWS), others, data if isinstance(data, str) else type(task).__name__.lower()


def _find_rewards(algorithm: Any, reward: Any, task: Any) -> tuple[Rewards | None, dict[str, Any] | None]:
    """-> rewards, and how to find each again, with its weight; None where one cannot be."""
    if reward is None and task is None:
        if algorithm.reads == "prompts":
            raise ValueError("reward = None: this data has no reward of its own; give a function, or the name of one.")
        return None, {}
    if reward is None:
        return Rewards({"task": task.reward}), {}
    asked = _by_name(reward)
    found = {name: (_reference(part, task), weight) for name, (part, weight) in asked.items()}
    names = {name: [reference, weight] for name, (reference, weight) in found.items() if reference is not None}
    return rewards_of(reward), names if len(names) == len(asked) else None


def rewards_of(reward: Any) -> Rewards:
    """A function, a name, a reward model's run or its folder, or several in a dict, as `align` takes them."""
    return Rewards({name: (_one_reward(part), weight) for name, (part, weight) in _by_name(reward).items()})


def _reference(part: Any, task: Any) -> str | None:
    """What finds a reward again: its name, its run's folder, or that it is the task's."""
    if task is not None and getattr(part, "__self__", None) == task and part.__name__ == "reward":
        return OWN
    folder = getattr(part, "folder", None)
    return part if isinstance(part, str) else None if folder is None else str(folder.path)


def _by_name(reward: Any) -> dict[str, tuple[Any, float]]:
    if isinstance(reward, Mapping):
        return {name: part if isinstance(part, tuple) else (part, 1.0) for name, part in reward.items()}
    several = [reward] if isinstance(reward, str) or not isinstance(reward, Sequence) else list(reward)
    return {_name_of(part): (part, 1.0) for part in several}


def _name_of(part: Any) -> str:
    return Path(part).name if isinstance(part, str) else getattr(part, "__name__", type(part).__name__)


def _one_reward(part: Any) -> Any:
    """A function, or what judges tokens."""
    if isinstance(part, str) and (Path(part) / START).is_dir():
        return ModelReward(_scored(part))
    if isinstance(part, str):
        return find_reward(part)
    return ModelReward(_scored(part)) if hasattr(part, "model") else part


def _scored(source: Any) -> Scored:
    """The reward model of a run."""
    found = find_policy(source).model
    if not isinstance(found, Scored):
        raise ValueError(f"{source!r} is no reward model: train one with `bellmax reward`.")
    return found


def keep_beginning(path: Path, plan: AlignmentPlan) -> None:
    """Write down what a run begins with: enough to go on with it."""
    where = path / START
    where.mkdir()
    materials = plan.materials
    (where / "model.json").write_text(json.dumps(dataclasses.asdict(config_of(materials.model)), indent=1) + "\n")
    if materials.critic is not None:
        (where / "critic.json").write_text(json.dumps(dataclasses.asdict(config_of(materials.critic)), indent=1) + "\n")
    materials.tokeniser.write(where)
    for name, rows in (("rows", materials.rows), ("held_out", materials.held_out)):
        with (where / f"{name}.jsonl").open("w", encoding="utf-8") as file:  # dates and the like become text
            file.writelines(json.dumps(dict(row), default=str) + "\n" for row in rows)


def config_of(model: Any) -> ModelConfig:
    """The shape of a model, of a reward model's transformer, or the shape itself."""
    if isinstance(model, ModelConfig):
        return model
    return model.model.config if isinstance(model, Scored) else model.config


def found_again(path: Path, config: Mapping[str, Any], algorithm: Any, reward: Any = None) -> Materials:
    """What a run in a folder works with. Weights are not among it: they are in its checkpoints."""
    where = path / START
    names = config["rewards"]
    if reward is None and names is None:
        raise ValueError(
            f"{path}: its rewards are functions made in a program; pass them, as in resume(..., reward=...)."
        )
    data = config["environment"]["name"]
    described = config["environment"]["task"]
    task = find_task(described) if isinstance(described, str) else from_plain(described)
    if reward is None and names:
        reward = {name: (_referred(reference, path, task), weight) for name, (reference, weight) in names.items()}
    rewards, _ = _find_rewards(algorithm, reward, task) if reward is not None or task is not None else (None, {})
    critic = _config(where / "critic.json") if config["critic"] else None
    return Materials(
        model=_config(where / "model.json"),
        model_name=config["model"]["name"],
        tokeniser=dataclasses.replace(Tokeniser.read(where), now=_date(config["model"].get("now"))),
        rows=_rows(where / "rows.jsonl"),
        data_name=data,
        held_out=_rows(where / "held_out.jsonl"),
        task=task,
        rewards=rewards,
        reward_names=names,
        critic=critic,
        adapters=config["model"]["adapters"],
    )


def _referred(reference: str, path: Path, task: Any) -> Any:
    """What a run's config calls a reward, as `align` takes it. Runs that were moved are looked for beside this one."""
    if reference == OWN and task is not None:
        return task.reward
    beside = path.parent / Path(reference).name
    return str(beside) if not Path(reference).exists() and (beside / START).is_dir() else reference


def _date(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _config(path: Path) -> ModelConfig:
    said = json.loads(path.read_text())
    rope = said.pop("rope")
    layers = said.pop("window_layers")
    return ModelConfig(
        **said, rope=None if rope is None else Rope(**rope), window_layers=None if layers is None else tuple(layers)
    )


def fresh(key: jax.Array, source: Any) -> Any:
    """The model itself, or one with new weights where only its shape is there."""
    return Transformer(key, source) if isinstance(source, ModelConfig) else source
