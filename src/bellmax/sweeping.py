"""The front door: sweep."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from bellmax import training
from bellmax.catalogue import algorithm_class, algorithm_name, as_published
from bellmax.core import Algorithm
from bellmax.envs.names import find
from bellmax.recipes import configured
from bellmax.run import Run


def sweep(algorithm: str | Algorithm, env: Any, over: Mapping[str, Sequence[Any]], **options: Any) -> list[Run]:
    """Train once for every combination of hyperparameters -> runs. Floats do not compile again.

    sweep("ppo", "gymnax:CartPole-v1", {"learning_rate": [1e-4, 3e-4, 1e-3]}, seeds=5). `options` are those of `train`.
    """
    settings = [dict(zip(over, values)) for values in itertools.product(*over.values())]
    fixed = dict(options.pop("hyperparameters", None) or {})
    example = as_published(algorithm_class(algorithm)) if isinstance(algorithm, str) else algorithm
    for changes in settings:
        configured(example, fixed | changes)  # all are checked before the first is trained
    source = find(env, **(options.pop("env_options", None) or {}))
    name = options.pop("name", None) or f"sweep-{algorithm_name(type(example))}"
    return [
        training.train(algorithm, source, name=f"{name}-{_label(changes)}", hyperparameters=fixed | changes, **options)
        for changes in settings
    ]


def _label(changes: Mapping[str, Any]) -> str:
    return "-".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in changes.items()
    )
