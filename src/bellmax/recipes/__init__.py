"""Tuned settings per algorithm and environment, as data: one TOML file an algorithm, one table an environment.

A table may set `steps`, `num_envs`, `normalise`, `scale_rewards`, and under `algorithm` any hyperparameter; a schedule
is written "linear:START:END", over the whole run; a part of another kind names it, as in
{ kind = "bellmax.maths.exploration:CountBonus", bonus = 1.0 }. `source` says where the settings are from.
"""

from __future__ import annotations

import dataclasses
import tomllib
from importlib import resources
from typing import Any, NamedTuple

from bellmax.catalogue import algorithm_class, as_published, language_class
from bellmax.core import Algorithm, Frozen
from bellmax.encode import from_plain
from bellmax.maths.schedules import Linear


class Recipe(NamedTuple):
    """Settings that are known to work."""

    name: str  # "ppo on CartPole-v1"
    source: str
    algorithm: Algorithm
    steps: int
    num_envs: int
    normalise: bool
    scale_rewards: bool


def find(algorithm: str, env: str) -> Recipe | None:
    """The recipe of `algorithm` ("ppo") for `env`; an environment in the graph shares its hosted twin's."""
    tables, wanted = _tables(algorithm), env.split(":")[-1]
    name = next((known for known in tables if wanted in (known, known.rsplit("-v", 1)[0])), None)
    if name is None:
        return None
    table = tables[name]
    kind = algorithm_class(algorithm)
    return Recipe(
        name=f"{algorithm} on {name}",
        source=table.get("source", ""),
        algorithm=configured(as_published(kind), table.get("algorithm", {})),
        steps=table["steps"],
        num_envs=table["num_envs"],
        normalise=table.get("normalise", False),
        scale_rewards=table.get("scale_rewards", False),
    )


def find_language(algorithm: str, task: str) -> tuple[Any, int] | None:
    """The learner of language models `algorithm` ("grpo") as its recipe for a built-in task has it, and its updates."""
    table = _tables(algorithm).get(task)
    if table is None:
        return None
    return configured(language_class(algorithm)(), table.get("algorithm", {})), table["steps"]


def names(algorithm: str) -> list[str]:
    """The environments that `algorithm` has a recipe for."""
    return list(_tables(algorithm))


def configured(default: Any, changes: dict[str, Any]) -> Any:
    """The dataclass `default` with `changes`, nested tables for nested dataclasses."""
    known = {field.name for field in dataclasses.fields(default)}
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if isinstance(value, dict) and "kind" in value:
            values[name] = from_plain(value)
        elif isinstance(value, dict) and name in known and isinstance(getattr(default, name), Frozen):
            values[name] = configured(getattr(default, name), value)
        else:
            values[name] = schedule(value) if isinstance(value, str) and value.startswith("linear:") else _tuple(value)
    return default.replace(**values)


def schedule(text: str) -> Linear:
    """linear:START:END or linear:START:END:STEPS."""
    try:
        numbers = [float(part) for part in text.removeprefix("linear:").split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3):
        raise ValueError(f"{text!r} is no schedule: write linear:START:END or linear:START:END:STEPS.")
    return Linear(*numbers)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _tables(algorithm: str) -> dict[str, Any]:
    file = resources.files(__package__) / f"{algorithm}.toml"
    return tomllib.loads(file.read_text()) if file.is_file() else {}
