"""The physics of an environment in the graph, by name: its fields that JAX sees through."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp

from bellmax.core import Env


class UnknownParameter(ValueError):
    """An environment has no parameter of this name; the message suggests the nearest one."""


def parameters(env: Env) -> dict[str, Any]:
    """Every number that can be changed without compiling again, by name; of a wrapper, the inner environment's too."""
    inner = getattr(env, "inner", None)
    names = [field.name for field in dataclasses.fields(env) if field.name in env._traced]  # type: ignore[arg-type,attr-defined]
    own = {name: getattr(env, name) for name in names if _is_number(getattr(env, name))}
    return (parameters(inner) if isinstance(inner, Env) else {}) | own


def with_parameters(env: Env, values: Mapping[str, Any]) -> Env:
    """The environment with other numbers, which JAX may be tracing. Raises UnknownParameter."""
    check_names(env, values)
    return _changed(env, values)


def check_names(env: Env, names: Iterable[str]) -> None:
    """Raise UnknownParameter at the first name that is none of the environment's."""
    known = parameters(env)
    for name in names:
        if name not in known:
            raise unknown(type(innermost(env)).__name__, name, known)


def unknown(owner: str, name: str, known: Iterable[str]) -> UnknownParameter:
    """The error for a name that is none, with the nearest that there is."""
    words = sorted(known)
    near = difflib.get_close_matches(name, words, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(words) or 'none'}."
    return UnknownParameter(f"{owner} has no parameter {name!r}: {hint}")


def innermost(env: Any) -> Any:
    """The environment inside all wrappers."""
    while isinstance(env, Env) and isinstance(getattr(env, "inner", None), Env):
        env = vars(env)["inner"]
    return env


def _changed(env: Any, values: Mapping[str, Any]) -> Env:
    own = {name: value for name, value in values.items() if name in env._traced}
    others = {name: value for name, value in values.items() if name not in own}
    if others:
        own["inner"] = _changed(env.inner, others)
    return env.replace(**own) if own else env


def _is_number(value: Any) -> bool:
    if isinstance(value, bool | dict | tuple | list | str | Env) or value is None:
        return False
    return not hasattr(value, "__dataclass_fields__") and jnp.ndim(value) == 0
