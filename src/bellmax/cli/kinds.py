"""Fields that may hold one of several dataclasses: `--experience replay`, `--exploration boltzmann`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, get_args

from bellmax.core import Algorithm, Env, Frozen
from bellmax.maths.schedules import Linear


def kinds(algorithm: Algorithm) -> dict[str, dict[str, type[Frozen]]]:
    """{"experience": {"dataset": Dataset, "replay": Replay}} for every field of which there are several kinds."""
    hints: dict[str, Any] = algorithm._hints  # type: ignore[attr-defined]
    found = {field: {_name(kind): kind for kind in get_args(hint) if _counts(kind)} for field, hint in hints.items()}
    return {field: several for field, several in found.items() if len(several) > 1}


def chosen(words: Sequence[str], algorithm: Algorithm) -> tuple[list[str], Algorithm]:
    """Read `--experience replay` -> the words without it, the algorithm with a Replay.

    What both kinds have, such as `batch`, stays as it was; everything else is as published. Raises ValueError.
    """
    left = list(words)
    for field, several in kinds(algorithm).items():
        flag = "--" + field.replace("_", "-")
        place = next((place for place, word in enumerate(left) if word.partition("=")[0] == flag), None)
        if place is None:
            continue
        _, given, name = left.pop(place).partition("=")
        name = name if given else left.pop(place) if place < len(left) else ""
        if name.lower() not in several:
            raise ValueError(f"{flag} {name}: choose from {', '.join(several)}.")
        old, kind = getattr(algorithm, field), several[name.lower()]
        same = {each.name for each in dataclasses.fields(old)} & set(kind._hints)  # type: ignore[attr-defined]
        made = kind(**{each: getattr(old, each) for each in same})
        algorithm = algorithm.replace(**{field: made})
    return left, algorithm


def _counts(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Frozen) and not issubclass(kind, Linear | Env)


def _name(kind: type) -> str:
    """EpsilonGreedy -> epsilon-greedy."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
