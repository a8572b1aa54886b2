"""Beginning: can it be done at all, and with what another run has learned?

Of another run's networks, tables and statistics are taken over; everything else begins anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from bellmax.algorithms.wrappers.partly_frozen import PartlyFrozen, path_name
from bellmax.core import Algorithm, Spec
from bellmax.data import find as find_data
from bellmax.drivers import prefill
from bellmax.drivers.learn import eats
from bellmax.engine import Engine, template
from bellmax.plan import Plan
from bellmax.run import Run
from bellmax.runs import RunFolder, RunFolderError

ANEW = {"opt_state", "opt_states", "steps", "updates"}  # optimisers, and the clocks of schedules and of target networks


@dataclass(frozen=True)
class Start:
    """Which run's weights a run begins with, as config.json says it."""

    run: str | None  # its folder; None for one that is in memory alone
    checkpoint: str | None = None  # a file in it; None where each seed has a folder of its own
    held: Run | None = dataclasses.field(default=None, compare=False, repr=False)

    def config(self) -> dict[str, Any]:
        """What config.json says."""
        return {"run": self.run, "checkpoint": self.checkpoint}


def with_frozen(algorithm: Algorithm, parts: Sequence[str]) -> Algorithm:
    """The algorithm with parts that do not move. Raises ValueError for one that plans, TypeError for a lone name."""
    if isinstance(parts, str):
        raise TypeError(f"frozen = {parts!r}: give a tuple of names, as in ({parts!r},).")
    if getattr(algorithm, "rules", None) is not None:
        raise ValueError(f"frozen = {tuple(parts)!r}: {type(algorithm).__name__}, which plans, cannot be frozen.")
    return PartlyFrozen(algorithm, tuple(parts))


def rehearse(plan: Plan, spec: Spec) -> None:
    """Begin with the plan in shapes alone: what it raises is raised before there is a folder, and costs no work."""
    template(plan, spec)
    if plan.prefills:
        prefill.check(plan.algorithm, spec, plan.data.steps)


def begin(plan: Plan, made: Engine, say: Callable[[str], Any]) -> None:
    """Give the fresh runs of an engine what they begin with: another run's weights, logged steps in their buffers."""
    if plan.start is not None:
        states = [made.state(index) for index in range(len(plan.seeds))]
        states = begun(plan.start, plan.algorithm, made.spec, plan.seeds, states)
        made.begin_as(lambda index, run: run._replace(state=states[index]))
    if plan.prefills:
        found = find_data(plan.data, made.spec)
        room = eats(plan.algorithm).capacity - found.steps  # type: ignore[attr-defined]
        over = "" if room >= plan.steps else f"; behind {room:,} steps of its own the run overwrites the first of them"
        say(f"the replay buffer begins with {found}{over}")
        made.begin_as(lambda _, run: prefill.prefilled(plan.algorithm, run, found.log.steps, plan.num_envs))


def fitting(run: Any, algorithm: Algorithm, spec: Spec) -> Start | None:
    """Where to start from, if anywhere. Raises where that does not fit."""
    if run is None:
        return None
    found = find(run, algorithm)
    check(found, algorithm, spec)
    return found


def find(run: Any, algorithm: Algorithm) -> Start:
    """A `Run`, a run's folder, or a checkpoint in one -> where to start from. Raises RunFolderError, ValueError."""
    if isinstance(run, Run):
        folder = run.folder
        latest = folder.checkpoints.latest() if folder is not None else None
        return Start(str(folder.path.resolve()) if folder else None, latest.name if latest else None, run)
    path = Path(run)
    if path.suffix == ".safetensors":
        start = Start(str(path.resolve().parent.parent), path.name)
    else:
        latest = RunFolder.open(path).checkpoints.latest()
        start = Start(str(path.resolve()), latest.name if latest else None)
    return dataclasses.replace(start, held=_read(start, algorithm))


def _read(start: Start, algorithm: Algorithm) -> Run:
    from bellmax.loading import load

    if start.run is None:
        raise ValueError("start_from: the run that this one begins with was never saved; begin again from its weights.")
    path = Path(start.run)
    checkpoint = path / "checkpoints" / start.checkpoint if start.checkpoint else None
    try:
        return load(path, checkpoint=checkpoint, algorithm=type(_layers(algorithm)[-1]))
    except RunFolderError:
        raise
    except ValueError as error:
        raise ValueError(
            f"start_from = {start.run}: {error} Or load it first: start_from=bellmax.load(...)."
        ) from error


def check(start: Start, algorithm: Algorithm, spec: Spec) -> None:
    """Raise ValueError, naming the first leaf that differs, unless the other run's policy fits this one."""
    held = _held(start, algorithm)
    theirs, ours = ([type(each).__name__ for each in _layers(each)] for each in (held.algorithm, algorithm))
    where = f"start_from = {start.run or held}"
    if theirs != ours:
        raise ValueError(f"{where}: it was trained with {_around(theirs)}, and this is {_around(ours)}; use the same.")
    mine, other = _learned(algorithm, spec), _learned(held.algorithm, held.spec)
    for name in [*mine, *(name for name in other if name not in mine)]:
        there, here = _said(other.get(name)), _said(mine.get(name))
        if there != here:
            raise ValueError(
                f"{where}: its policy does not fit, {name} is {there} there and {here} here; use the settings it was "
                "trained with (its config.json) and an environment that shows and accepts the same."
            )


def begun(start: Start, algorithm: Algorithm, spec: Spec, seeds: Sequence[int], states: Sequence[Any]) -> list[Any]:
    """The fresh `states` of these seeds, with what the other run has learned in them.

    A seed takes after the same seed of the other run, or after its first.
    """
    held = _held(start, algorithm)
    takes = _learned(algorithm, spec)

    def one(seed: int, state: Any) -> Any:
        learned = held.state_of(held.seeds.index(seed) if seed in held.seeds else 0)
        theirs = {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(learned)}
        return jax.tree_util.tree_map_with_path(
            lambda path, fresh: jnp.array(theirs[path_name(path)]) if path_name(path) in takes else fresh, state
        )

    return [one(seed, state) for seed, state in zip(seeds, states)]


def _held(start: Start, algorithm: Algorithm) -> Run:
    return start.held if start.held is not None else _read(start, algorithm)


def _learned(algorithm: Algorithm, spec: Spec) -> dict[str, Any]:
    """The shapes of what is taken over, by name: not what begins anew, and nothing that each environment has its own
    of, such as eligibility traces."""

    def shapes(num_envs: int) -> dict[str, Any]:
        state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), spec._replace(num_envs=num_envs)))
        return {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state)}

    found, more = shapes(spec.num_envs), shapes(spec.num_envs + 1)
    return {
        name: leaf for name, leaf in found.items() if not ANEW & set(name.split(".")) and leaf.shape == more[name].shape
    }


def _layers(algorithm: Any) -> list[Any]:
    """An algorithm and those inside it, the outermost first; frozen or not is all the same."""
    found = [] if isinstance(algorithm, PartlyFrozen) else [algorithm]
    inner = getattr(algorithm, "inner", None)
    return found + (_layers(inner) if isinstance(inner, Algorithm) else [])


def _around(names: list[str]) -> str:
    return "(".join(names) + ")" * (len(names) - 1)


def _said(leaf: Any) -> str:
    return "missing" if leaf is None else f"{leaf.dtype}{list(leaf.shape)}"
