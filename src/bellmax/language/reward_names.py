"""Rewards by name.

length             characters of the completion
contains:WORD      1 if the completion has WORD in it
json               1 if the completion is JSON
format             1 if the completion gives an answer in <answer></answer>, strictly
reverse            what the task of that name says, as do the other built-in tasks' names
mine:function      a function of the module `mine`, in the working directory or installed
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from bellmax.language.tasks import TASKS, format_reward

Row = Mapping[str, Any]


class UnknownReward(ValueError):
    """No reward has this name; the message suggests the nearest one."""


def length(prompt: Any, completion: str, row: Row) -> float:
    """How many characters it has."""
    return float(len(completion))


def contains(prompt: Any, completion: str, row: Row, word: str) -> float:
    """1 if `word` is in it."""
    return float(word in completion)


def is_json(prompt: Any, completion: str, row: Row) -> float:
    """1 if all of it is one JSON value, by the standard: NaN and infinities are not."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        json.loads(completion, parse_constant=refuse)
    except (ValueError, RecursionError):
        return 0.0
    return 1.0


BUILT_IN: dict[str, Callable[..., float]] = {"length": length, "json": is_json, "format": format_reward}


def find_reward(name: str) -> Callable[..., Any]:
    """The reward that is called `name` (see above). Raises `UnknownReward`."""
    source, colon, inner = name.strip().partition(":")
    if colon and source == "contains":
        if not inner:
            raise UnknownReward(f"the reward {name!r} looks for no word: name one, as in contains:please.")
        return functools.partial(contains, word=inner)
    if colon:
        return _of_module(name, source, inner)
    if source in BUILT_IN:
        return BUILT_IN[source]
    if source in TASKS:
        return TASKS[source]().reward
    known = [*BUILT_IN, *TASKS, "contains:WORD"]
    near = difflib.get_close_matches(source, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}; your own are module:function."
    raise UnknownReward(f"no reward is called {name!r}: {hint}")


def find_judge(name: str) -> Callable[..., Any]:
    """The judge of pairs called "module:function" (see `judging.label`). Raises `UnknownReward`."""
    module, _, function = name.strip().partition(":")
    return _of_module(name, module, function, "judge", "prompt, a, b, principle")


def _of_module(
    name: str, module: str, function: str, noun: str = "reward", takes: str = "prompt, completion, row"
) -> Callable[..., Any]:
    """A function of a module; the working directory counts as a place to look."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = module in sys.modules or importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        near = difflib.get_close_matches(name, ["contains:WORD"] if noun == "reward" else [], 1)
        hint = f"did you mean {near[0]!r}?" if near else "run where it lies, or install it."
        raise UnknownReward(f"the {noun} {name!r}: there is no module {module!r} here or installed: {hint}")
    try:
        loaded = importlib.import_module(module)
    except Exception as error:
        raise UnknownReward(
            f"the {noun} {name!r}: importing {module} fails: {type(error).__name__}: {error}"
        ) from error
    thing = getattr(loaded, function, None)
    if callable(thing):
        return thing
    if thing is not None:
        raise UnknownReward(f"the {noun} {name!r} is {thing!r}: it must be a function of ({takes}).")
    held = [word for word, thing in vars(loaded).items() if callable(thing)]
    near = difflib.get_close_matches(function, held, 1)
    hint = f"did you mean '{module}:{near[0]}'?" if near else "name one of its functions, as in module:function."
    raise UnknownReward(f"the {noun} {name!r}: {module} has nothing called {function!r}: {hint}")
