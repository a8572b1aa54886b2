"""A run from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from bellmax.core import Algorithm
from bellmax.encode import spec_from_plain
from bellmax.engine import template
from bellmax.plan import Plan, planned
from bellmax.run import Run
from bellmax.runs import RunFolder
from bellmax.runs import load as load_checkpoint


def load(
    path: str | Path, *, checkpoint: str | Path | None = None, algorithm: type[Algorithm] | None = None, env: Any = None
) -> Run:
    """A run from its folder, as of its latest checkpoint or the one given. Files from strangers are safe to read."""
    folder = RunFolder.open(path)
    if folder.config.get("family") == "language":
        from bellmax.alignment.loading import load as load_language

        return load_language(path, checkpoint=checkpoint)  # type: ignore[return-value]
    plan = planned(folder.config, algorithm, env, goes_on=False)
    spec = spec_from_plain(folder.config["spec"])
    if folder.children:
        plans = [planned(child.config, algorithm, env, goes_on=False) for child in folder.children]
        trees, metas = zip(*(read(child, its, spec) for child, its in zip(folder.children, plans)))
        tree = jax.tree.map(lambda *x: np.concatenate([np.asarray(i) for i in x]), *map(_raw, trees))
        tree = jax.tree.map(_cooked, tree, trees[0])
        meta = {"taken": [meta["taken"][0] for meta in metas], "seconds": sum(meta["seconds"] for meta in metas)}
    else:
        tree, meta = read(folder, plan, spec, checkpoint)
    timing = {"compile": 0.0, "run": meta["seconds"], "steps": sum(meta["taken"])}
    timing["steps_per_second"] = timing["steps"] / meta["seconds"] if meta["seconds"] else 0.0
    return Run(plan, spec, tree, meta, folder.metrics(), folder.evaluations(), timing, folder)


def read(folder: RunFolder, plan: Plan, spec: Any, checkpoint: str | Path | None = None) -> tuple[Any, dict[str, Any]]:
    """The tree of a checkpoint, the latest if none is named, and what was done when it was written."""
    found = checkpoint or folder.checkpoints.latest()
    if found is None:
        raise ValueError(f"{folder.path} holds no checkpoint: nothing was trained there yet; use bellmax resume.")
    return load_checkpoint(found, template(plan, spec))


def _raw(tree: Any) -> Any:
    """Random keys as plain numbers."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if _is_key(x) else x, tree)


def _cooked(x: Any, like: Any) -> Any:
    return jax.random.wrap_key_data(x) if _is_key(like) else x


def _is_key(x: Any) -> bool:
    return isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
