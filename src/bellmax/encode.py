"""Hyperparameters and spaces as plain JSON, and back.

    {"kind": "PPO", "gamma": 0.99, "experience": {"kind": "Steps", "length": 128}, ...}

Reading imports nothing but bellmax itself: a class of the user's own must be handed in.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from typing import Any

import jax
import numpy as np

from bellmax.core import Frozen, Spec
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, Privileged, Simulated, Tree

SPACES: dict[str, Any] = {kind.__name__: kind for kind in (Discrete, MultiDiscrete, MultiBinary, Box)}


def to_plain(value: Any) -> Any:
    """A hyperparameter, or a whole algorithm, as what JSON can hold."""
    if isinstance(value, Frozen):
        kind = type(value)
        name = f"{kind.__module__}:{kind.__qualname__}"
        fields = dataclasses.fields(value)  # type: ignore[arg-type]
        return {"kind": name} | {field.name: to_plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: to_plain(item) for name, item in value.items()}
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return np.asarray(value).tolist()
    return value


def from_plain(value: Any, known: type[Frozen] | None = None) -> Any:
    """The other way round. `known`: a class from outside bellmax that may be meant."""
    if isinstance(value, dict) and "kind" in value:
        kind = _class(value["kind"], known)
        return kind(**{name: from_plain(item, known) for name, item in value.items() if name != "kind"})
    if isinstance(value, dict):
        return {name: from_plain(item, known) for name, item in value.items()}
    return tuple(from_plain(item, known) for item in value) if isinstance(value, list) else value


def _class(name: str, known: type[Frozen] | None) -> type[Frozen]:
    module, title = name.split(":")
    if known is not None and f"{known.__module__}:{known.__qualname__}" == name:
        return known
    if module.split(".")[0] != "bellmax":
        raise ValueError(
            f"This run was trained with {name}, which is not bellmax's: pass it, as in load(path, algorithm={title})."
        )
    found = getattr(importlib.import_module(module), title, None)
    if not (isinstance(found, type) and issubclass(found, Frozen)):
        raise ValueError(f"kind = {name!r}: this version of bellmax has no such class; it may need a newer one.")
    return found


def spec_to_plain(spec: Spec) -> dict[str, Any]:
    """What an environment shows and accepts, as what JSON can hold."""
    return {"obs": _space_to_plain(spec.obs), "action": _space_to_plain(spec.action), "num_envs": spec.num_envs}


def spec_from_plain(value: dict[str, Any]) -> Spec:
    """The other way round."""
    return Spec(_space_from_plain(value["obs"]), _space_from_plain(value["action"]), value["num_envs"])


def _space_to_plain(space: Tree) -> Any:
    if isinstance(space, Masked):
        return {"kind": "Masked", "obs": _space_to_plain(space.obs), "legal": _space_to_plain(space.legal)}
    if isinstance(space, Privileged):
        return {"kind": "Privileged", "obs": _space_to_plain(space.obs), "extra": _space_to_plain(space.extra)}
    if isinstance(space, Simulated):  # of the simulator, what it is made of is enough
        leaves = jax.tree.leaves(space.simulator)
        inside = [_space_to_plain(leaf) for leaf in leaves]
        return {"kind": "Simulated", "obs": _space_to_plain(space.obs), "simulator": inside}
    if isinstance(space, dict):
        return {"kind": "dict", "spaces": {name: _space_to_plain(inner) for name, inner in space.items()}}
    if isinstance(space, tuple):
        return {"kind": "tuple", "spaces": [_space_to_plain(inner) for inner in space]}
    fields = {field.name: getattr(space, field.name) for field in dataclasses.fields(space)}
    return {"kind": type(space).__name__} | {name: _bound(item) for name, item in fields.items()}


def _bound(value: Any) -> Any:
    """Infinity has no name in JSON: it is written as text."""
    if isinstance(value, tuple):
        return [_bound(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _space_from_plain(value: dict[str, Any]) -> Tree:
    kind, rest = value["kind"], {name: item for name, item in value.items() if name != "kind"}
    if kind == "Masked":
        return Masked(_space_from_plain(rest["obs"]), _space_from_plain(rest["legal"]))
    if kind == "Privileged":
        return Privileged(_space_from_plain(rest["obs"]), _space_from_plain(rest["extra"]))
    if kind == "Simulated":
        return Simulated(_space_from_plain(rest["obs"]), tuple(_space_from_plain(leaf) for leaf in rest["simulator"]))
    if kind == "dict":
        return {name: _space_from_plain(inner) for name, inner in rest["spaces"].items()}
    if kind == "tuple":
        return tuple(_space_from_plain(inner) for inner in rest["spaces"])
    return SPACES[kind](**{name: item if name == "dtype" else _number(item) for name, item in rest.items()})


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_number(item) for item in value)
    return float(value) if isinstance(value, str) else value
