"""Built-in tasks: prompts without end, and verifiers that say whether an answer is right."""

from __future__ import annotations

import difflib
from typing import Any

from bellmax.language.tasks.addition import Addition
from bellmax.language.tasks.answer_format import AnswerFormat, format_reward
from bellmax.language.tasks.countdown import Countdown
from bellmax.language.tasks.reasoning_gym import ReasoningGym
from bellmax.language.tasks.symbols import Copy, Reverse, Sort
from bellmax.language.tasks.task import Row, Task, is_held_out

TASKS: dict[str, type[Task]] = {
    "copy": Copy,
    "reverse": Reverse,
    "sort": Sort,
    "addition": Addition,
    "countdown": Countdown,
    "format": AnswerFormat,
}


def find_task(name: str, **fields: Any) -> Task | ReasoningGym:
    """The task called `name`, or "reasoning-gym:NAME", with some fields set. ValueError suggests the nearest name."""
    source, colon, inner = name.partition(":")
    if colon and source == "reasoning-gym":
        return ReasoningGym(inner, **fields)
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(TASKS)}, and reasoning-gym:NAME."
        raise ValueError(f"no task is called {name!r}: {hint}")
    return TASKS[name](**fields)


__all__ = [
    "TASKS",
    "Addition",
    "AnswerFormat",
    "Copy",
    "Countdown",
    "ReasoningGym",
    "Reverse",
    "Row",
    "Sort",
    "Task",
    "find_task",
    "format_reward",
    "is_held_out",
]
