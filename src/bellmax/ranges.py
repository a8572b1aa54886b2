"""The ranges hyperparameters live in, written as annotations and checked on construction.

gamma: Unit = 0.99            epochs: Count = 4            learning_rate: Positive = 3e-4
"""

from __future__ import annotations

import math
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; `open_low` and `open_high` leave the end itself out."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return bool(above and below)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"greater than {self.low:g}" if self.open_low else f"at least {self.low:g}"
        return f"in {'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"


Unit = Annotated[float, Range(0, 1)]
Positive = Annotated[float, Range(0, open_low=True)]
NonNegative = Annotated[float, Range(0)]
Count = Annotated[int, Range(1)]
Whole = Annotated[int, Range(0)]
Sizes = Annotated[tuple[int, ...], Range(1)]


def is_traced(hint: Any, frozen: tuple[type, ...]) -> bool:
    """Does the annotation hold a `float` or one of the `frozen` classes, so that JAX should see through the field?"""
    if get_origin(hint) in (Annotated, Union, types.UnionType):
        return any(is_traced(inner, frozen) for inner in get_args(hint) if not isinstance(inner, Range))
    return hint is float or (isinstance(hint, type) and issubclass(hint, frozen))


def check(owner: str, name: str, value: Any, hint: Any) -> None:
    """Raise one clear error unless `value` fits the annotation. Arrays, traced or not, pass unseen."""
    field, allowed, kinds = f"{owner}.{name} = {value!r}", _range(hint), _kinds(hint)
    if not _is_one_of(value, kinds):
        raise TypeError(f"{field}: give {' or '.join(_words(kind, allowed) for kind in kinds)}.")
    for number in _numbers(value):
        if math.isnan(number) or (allowed is not None and number not in allowed):
            raise ValueError(f"{field}: it must be {allowed or 'a number'}.")


_PLAIN = bool | int | float | str | tuple | list | None | np.number | np.bool_


def _kinds(hint: Any) -> list[Any]:
    """`Positive | None` -> [float, None's type]: what an annotation allows, without its ranges."""
    if get_origin(hint) is Annotated:
        return _kinds(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return [kind for inner in get_args(hint) for kind in _kinds(inner)]
    return [hint]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return [number for inner in value for number in _numbers(inner)]
    return [value] if _is_number(value) else []


def _is_one_of(value: Any, kinds: Sequence[Any]) -> bool:
    if Any in kinds or not isinstance(value, _PLAIN):
        return True
    if any(get_origin(kind) is Literal and value in get_args(kind) for kind in kinds):
        return True
    if isinstance(value, bool | np.bool_):
        return bool in kinds or float in kinds  # JAX's tree functions put flags and None where traced numbers were
    if value is None:
        return types.NoneType in kinds or any(isinstance(kind, type) and kind not in (int, str, bool) for kind in kinds)
    if _is_number(value):
        return float in kinds or (int in kinds and isinstance(value, int | np.integer))
    return any(_is_made_of(value, kind) for kind in kinds)


def _is_made_of(value: Any, kind: Any) -> bool:
    """Is text, a list or a tuple what `kind` says, entries included?"""
    if get_origin(kind) is tuple and isinstance(value, tuple):
        inner = [option for entry in get_args(kind) for option in _kinds(entry)]
        return all(_is_one_of(entry, inner) for entry in value)
    outer = get_origin(kind) or kind
    return isinstance(outer, type) and isinstance(value, outer)


def _words(kind: Any, allowed: Range | None) -> str:
    """How an error names what it wants."""
    if get_origin(kind) is tuple:
        inner = " or ".join(_words(inner, None) for inner in get_args(kind) if inner is not Ellipsis)
        return f"a tuple, each entry {inner}{f' {allowed}' if allowed else ''}"
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if kind in (float, int):
        return f"a {'whole ' if kind is int else ''}number{f' {allowed}' if allowed else ''}"
    said = {bool: "True or False", str: "text", types.NoneType: "None"}
    return said.get(kind) or f"a {getattr(kind, '__name__', kind)}"


def _range(hint: Any) -> Range | None:
    """The range written in an annotation, at any depth of unions."""
    for inner in get_args(hint):
        found = inner if isinstance(inner, Range) else _range(inner)
        if found is not None:
            return found
    return None
