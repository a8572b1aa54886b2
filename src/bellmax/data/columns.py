"""Logged steps as columns by name: how they are called, and what they are made into.

    obs, action, reward, terminated, truncated, next_obs        each [steps, ...]

`terminated`: the episode is over, and nothing is behind it. `truncated`: it was cut, as by a time limit, and would have
gone on. They are told apart because what is behind the first is worth 0, and behind the second it is not. A tree has a
column a part, "obs/position". Without `next_obs` it is what the next step of the episode sees; behind a cut nobody
knows, and that step is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from bellmax.core import Spec, Transition
from bellmax.data.checking import DataError, of_spec
from bellmax.spaces import Tree, zeros

Columns = Mapping[str, np.ndarray]
# What others call them: Gymnasium, D4RL, Minari.
ALIASES = {
    "obs": ("observations", "observation", "states"),
    "action": ("actions",),
    "reward": ("rewards",),
    "terminated": ("terminations", "terminals", "terminal"),
    "truncated": ("truncations", "timeouts", "timeout"),
    "next_obs": ("next_observations", "next_observation", "next_states"),
}
UNCLEAR = ("done", "dones")  # an end of which kind?


def named(space: Tree, name: str) -> dict[str, Any]:
    """The columns of one part: {"obs/position": an element's zeros, ...}."""
    leaves = jax.tree_util.tree_flatten_with_path(jax.eval_shape(lambda: zeros(space)))[0]
    return {"/".join([name, *(_said(entry) for entry in path)]): leaf for path, leaf in leaves}


def _said(entry: Any) -> str:
    """One step of a path in a tree: position, 0."""
    return str(next(getattr(entry, kind) for kind in ("key", "name", "idx") if hasattr(entry, kind)))


def transitions(columns: Columns, spec: Spec, source: str) -> Transition:
    """Columns as they were read -> steps [steps, ...] that fit the spec. DataError where they do not."""
    columns = _renamed(columns)
    _check_flags(columns, source)
    reward: Any
    reward, terminated, truncated = (np.asarray(columns[name]) for name in ("reward", "terminated", "truncated"))
    for name, flags in (("terminated", terminated), ("truncated", truncated)):
        if not np.isin(flags, (0, 1)).all():
            raise DataError(f"{source}: {name} holds {flags[~np.isin(flags, (0, 1))][0]}: give True and False.")
    count = len(reward)
    obs = _tree(columns, spec.obs, "obs", count, source)
    action = _tree(columns, spec.action, "action", count, source)
    terminated, last = terminated.astype(bool), terminated.astype(bool) | truncated.astype(bool)
    given = any(name.partition("/")[0] == "next_obs" for name in columns)
    next_obs = _tree(columns, spec.obs, "next_obs", count, source) if given else jax.tree.map(_following, obs)
    ones, discount = np.ones(count, np.float32), np.float32(~terminated)
    steps: Any = Transition._make([obs, action, reward, discount, last, next_obs, {}, ones])
    return of_spec(steps if given else _without_cuts(steps), spec, source)


def columns_of(steps: Transition, spec: Spec) -> dict[str, np.ndarray]:
    """The other way round."""
    terminated = np.asarray(steps.discount) == 0
    flags = {"terminated": terminated, "truncated": np.asarray(steps.last) & ~terminated}
    trees = {
        "obs": (spec.obs, steps.obs),
        "action": (spec.action, steps.action),
        "next_obs": (spec.obs, steps.next_obs),
    }
    parts = {
        column: np.asarray(x)
        for name, (space, tree) in trees.items()
        for column, x in zip(named(space, name), jax.tree.leaves(tree), strict=True)
    }
    return parts | {"reward": np.asarray(steps.reward)} | flags


def _renamed(columns: Columns) -> dict[str, np.ndarray]:
    known = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
    parts = {column: column.partition("/") for column in columns}
    return {known.get(head, head) + slash + rest: columns[column] for column, (head, slash, rest) in parts.items()}


def _check_flags(columns: Columns, source: str) -> None:
    unclear = [name for name in UNCLEAR if name in columns]
    for name in ("terminated", "truncated"):
        if name not in columns and unclear:
            raise DataError(
                f"{source}: {unclear[0]!r} does not say whether an episode terminated or was cut, as by a time limit: "
                "give 'terminated' and 'truncated' in its place."
            )
        if name not in columns:
            raise DataError(
                f"{source}: there is no {name!r} (it has {', '.join(columns)}): say of every step whether its episode "
                "terminated there, and whether it was cut there; all False if none was."
            )
    if "reward" not in columns:
        raise DataError(f"{source}: there is no 'reward' (it has {', '.join(columns)}): give one number a step.")
    if len(columns["reward"]) == 0:
        raise DataError(f"{source}: it holds no steps: give at least one.")


def _tree(columns: Columns, space: Tree, name: str, count: int, source: str) -> Any:
    """The tree of arrays that the spec wants."""
    found = []
    for column in named(space, name):
        if column not in columns:
            raise DataError(
                f"{source}: there is no {column!r}, which the environment has; it has {', '.join(columns)}."
            )
        found.append(np.asarray(columns[column]))
    return jax.tree.unflatten(jax.tree.structure(jax.eval_shape(lambda: zeros(space))), found)


def _following(obs: np.ndarray) -> np.ndarray:
    """What the next row sees; behind the last one, what it sees itself."""
    return np.concatenate([obs[1:], obs[-1:]])


def _without_cuts(steps: Transition) -> Transition:
    """Without the steps that were cut, whose successors nobody knows; their predecessors become the last."""
    last: Any = np.array(steps.last)
    last[-1] = True
    cut = last & (steps.discount == 1)
    last[:-1] |= cut[1:]
    return jax.tree.map(lambda x: x[~cut], steps._replace(last=last))
