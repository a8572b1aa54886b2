"""Flags for an algorithm, made from its dataclass: each field's name, type, range, comment and default.

--learning-rate 0.001              a number
--learning-rate linear:0.001:0     from 0.001 to 0 over the whole run
--learning-rate linear:1e-3:0:50k  ... over 50,000 steps
--experience.length 32             a field of a dataclass within
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import io
import textwrap
import tokenize
from collections.abc import Iterator
from typing import Annotated, Any, get_args

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from bellmax.catalogue import as_published
from bellmax.cli import flags
from bellmax.core import Env, Frozen
from bellmax.maths.schedules import Linear
from bellmax.ranges import Range
from bellmax.recipes import schedule


def registry() -> ConstructorRegistry:
    """What commands understand that take hyperparameters."""
    made = flags.registry()
    made.primitive_rule(_schedule_rule)
    made.struct_rule(_frozen_rule)
    return made


def changed(algorithm: Any, default: Any) -> dict[str, Any]:
    """The hyperparameters that are not as in `default`, by name."""
    values = {field.name: getattr(algorithm, field.name) for field in dataclasses.fields(algorithm)}
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def scheduled(text: str) -> float | Linear:
    """0.001, linear:0.001:0 or linear:0.001:0:50k. Raises ValueError."""
    if not text.startswith("linear:"):
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{text!r}: write a number, linear:START:END or linear:START:END:STEPS.") from None
    parts = text.split(":")
    lengths = [flags.whole(part) for part in parts[3:]]
    if lengths and min(lengths) < 1:
        raise ValueError(f"{text!r}: give the schedule at least 1 step.")
    return schedule(":".join([*parts[:3], *map(str, lengths)]))


def written(value: float | Linear) -> str:
    """The other way round."""
    if not isinstance(value, Linear):
        return f"{value:g}"
    length = f":{value.steps:g}" if value.steps is not None else ""
    return f"linear:{value.start:g}:{value.end:g}{length}"


def comments(kind: type) -> dict[str, str]:
    """What is written behind each field of a class: {"gamma": "discount"}."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if inspect.get_annotations(owner):
            found |= _comments_of(owner)
    return found


@functools.cache
def _comments_of(kind: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except OSError:
        return {}  # a class typed at a prompt
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    by_line = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    body = ast.parse(source).body[0].body  # type: ignore[attr-defined]
    fields = [node for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    return {node.target.id: by_line[node.end_lineno] for node in fields if node.end_lineno in by_line}  # type: ignore[union-attr]


def _schedule_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    if Linear not in get_args(info.type):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="SCHEDULE",
        instance_from_str=lambda words: scheduled(words[0]),
        is_instance=lambda value: isinstance(value, float | int | Linear),
        str_from_instance=lambda value: [written(value)],
    )


def _frozen_rule(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass of bellmax's, with those within it spread out under their names."""
    kind = info.type
    if not (isinstance(kind, type) and issubclass(kind, Frozen)):
        return None
    default = info.default if isinstance(info.default, kind) else as_published(kind)
    fields = tuple(_fields(default))
    return StructConstructorSpec(instantiate=lambda **values: _rebuilt(default, values), fields=fields)


def _fields(default: Any, prefix: str = "", outer: str | None = None) -> Iterator[StructFieldSpec]:
    """`outer`: what is said of `default` as a whole, which goes for its first field if that has no comment."""
    said = {dataclasses.fields(default)[0].name: outer} | comments(type(default))
    for field in dataclasses.fields(default):
        name, value, hint = prefix + field.name, getattr(default, field.name), default._hints[field.name]
        comment = said.get(field.name) or field.name.replace("_", " ")
        if Env in get_args(hint):
            continue  # the environment has a place of its own on the command line
        if isinstance(value, Frozen) and not isinstance(value, Linear):
            yield from _fields(value, f"{name}.", comment)
            continue
        allowed = _range(hint)
        flagged: Any = Annotated[hint, tyro.conf.arg(name=name.replace("_", "-"))]
        yield StructFieldSpec(name, flagged, value, f"{comment}; {allowed}" if allowed else comment)


def _rebuilt(default: Any, values: dict[str, Any]) -> Any:
    """{"gamma": 0.9, "experience.length": 32} -> the dataclass with these fields."""
    changes = {name: value for name, value in values.items() if "." not in name}
    for field in {name.partition(".")[0] for name in values if "." in name}:
        within = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{field}.")}
        changes[field] = _rebuilt(getattr(default, field), within)
    return default.replace(**changes)


def _range(hint: Any) -> Range | None:
    """The range in an annotation, at any depth."""
    found = (entry if isinstance(entry, Range) else _range(entry) for entry in get_args(hint))
    return next((entry for entry in found if entry is not None), None)
