"""What a run that replays has stored, as logged steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from bellmax.core import Transition
from bellmax.data.checking import DataError
from bellmax.experience import ring


def steps_of(path: Path) -> Transition:
    """The steps in the replay buffers of a run's latest checkpoint, [steps, ...], environment behind environment.

    DataError where there are none.
    """
    from bellmax.loading import load

    run = load(path)
    buffer = getattr(run.tree, "buffer", None)
    buffer = getattr(buffer, "ring", buffer)  # of prioritised replay
    if not isinstance(buffer, ring.Ring):
        raise DataError(
            f"{path}: {run.plan.algorithm_name} stores no steps; write some with: "
            f"bellmax collect {path} --steps 100k --output data.npz"
        )
    if buffer.film is not None:
        raise DataError(f"{path}: its images are kept frame by frame, which no data set is; write steps with collect.")
    pieces = [
        _column(jax.tree.map(lambda x: np.asarray(x)[seed], buffer), env)  # noqa: B023
        for seed in range(len(run.seeds))
        for env in range(buffer.steps.reward.shape[2])
    ]
    return jax.tree.map(lambda *x: np.concatenate(x), *pieces)


def _column(buffer: Any, env: int) -> Transition:
    """One environment's steps, oldest first; the newest is the last of its episode's that is known."""
    rows, written = buffer.steps.reward.shape[0], int(buffer.written)
    order = np.arange(max(written - rows, 0), written) % rows
    steps = jax.tree.map(lambda x: x[order, env], buffer.steps)._replace(extras={})
    steps = jax.tree.map(lambda x: x[steps.weight > 0], steps)
    steps.last[-1:] = True
    return steps
