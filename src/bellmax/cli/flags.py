"""From words to values: what tyro does not know by itself.

1e5, 100_000, 100k, 2M             whole numbers
runs/ppo-CartPole-v1, latest       runs (see `bellmax.cli.find_run`)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

T = TypeVar("T")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}
_NUMBER = re.compile(r"([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d{1,2})?)([kmgb]?)", re.IGNORECASE)

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]  # there is no --no-flag
RunName = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def _path_or_nothing(words: list[str]) -> str:
    if len(words) > 1:
        raise ValueError(f"{' '.join(words)}: give one file; what is no flag stands before --plot.")
    return words[0] if words else ""


_PATH: Any = PrimitiveConstructorSpec(
    nargs="*",
    metavar="[PATH]",
    instance_from_str=_path_or_nothing,
    is_instance=lambda value: value is None or isinstance(value, str),
    str_from_instance=lambda value: [value] if value else [],
)
# `--plot` or `--plot PATH`: "" is a file with a name of its own, None (the default) draws nothing
PlotPath = Annotated[str | None, _PATH, tyro.conf.arg(help="draw it, to a .png, .svg or .pdf", help_behavior_hint="")]


def registry() -> ConstructorRegistry:
    """What every command understands."""
    made = ConstructorRegistry()
    made.primitive_rule(_whole_rule)
    made.primitive_rule(_optional_rule)
    return made


def parse(
    kind: type[T], words: Sequence[str], command: str, rules: ConstructorRegistry | None = None, **options: Any
) -> T:
    """Read `words` as the dataclass `kind`, whose comments are the help. Leaves with SystemExit if they do not fit."""
    config = (tyro.conf.AvoidSubcommands,)
    prog = f"bellmax {command}"
    return tyro.cli(kind, args=words, prog=prog, registry=rules or registry(), config=config, **options)


def whole(text: str) -> int:
    """1e5, 100_000 or 100k -> 100000. Raises ValueError."""
    found = _NUMBER.fullmatch(text.strip())
    value = Decimal(found[1].replace("_", "")) * _UNITS[found[2].lower()] if found else Decimal("0.5")
    if value != value.to_integral_value():
        raise ValueError(f"{text!r} is no whole number: write 100000, 100_000, 100k or 1e5.")
    return int(value)


def _whole_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    if info.type is not int:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda words: whole(words[0]),
        is_instance=lambda value: isinstance(value, int) and not isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    )


def _optional_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """What may be left out is never written "None"."""
    kinds = set(get_args(info.type)) - {NoneType}
    if len(kinds) != 1 or NoneType not in get_args(info.type) or not kinds <= {int, str, float}:
        return None
    readers: dict[Any, Callable[[str], Any]] = {int: whole, str: str, float: float}
    read = readers[kinds.pop()]
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar={whole: "INT", str: "TEXT", float: "FLOAT"}[read],
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: value is None or isinstance(value, int | float | str),
        str_from_instance=lambda value: [str(value)],
    )
