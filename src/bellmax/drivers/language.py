"""Drive a learner of language models: get a batch, learn from it, again.

`source.serve(step, model)` makes the batch of a step, from rows or from what the model writes (see
`bellmax.language.sources`); a step is one update.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.drivers.learn import all_finite, means


class Run(NamedTuple):
    """Everything a training run knows."""

    state: Any  # what the algorithm has learned
    key: Array
    step: Array  # updates that were made
    sound: Array  # False once a metric was NaN or infinite: the run stands still from there


class Source(Protocol):
    """Where batches come from."""

    def serve(self, step: int, model: Any) -> Any: ...


def start(algorithm: Any, key: Array, *models: Any) -> Run:
    """A run that has learned nothing beyond the models it begins with."""
    init_key, run_key = jax.random.split(key)
    return Run(algorithm.init(init_key, *models), run_key, jnp.int32(0), jnp.bool_(True))


def learn(algorithm: Any, run: Run, batch: Any) -> tuple[Run, dict[str, Array]]:
    """One update, unless a metric comes out NaN or infinite: then the state stays -> run, mean metrics."""
    state, metrics = algorithm.update(run.state, batch, jax.random.fold_in(run.key, run.step))
    found = means(metrics)
    sound = all_finite(found)
    kept = jax.tree.map(lambda new, old: jnp.where(sound, new, old), state, run.state)
    return Run(kept, run.key, run.step + sound, sound), found


class Drive:
    """A run and its batches. `advance` goes on; `run` is what a checkpoint keeps."""

    def __init__(self, algorithm: Any, source: Source, run: Run, place: Callable[[Any], Any] = lambda batch: batch):
        """`place` puts a batch on the devices that share it."""
        self.algorithm, self.source, self.run, self._place = algorithm, source, run, place
        self.batch: Any = None  # the latest
        self.samples: list[dict[str, Any]] = []  # of the latest batch: answers to be read
        self._learn = jax.jit(learn, donate_argnums=1)

    def advance(self, steps: int, stop: Callable[[], bool]) -> dict[str, Any]:
        """Up to so many updates, fewer once `stop()` -> counts and metrics, summed over them.

        Stops at an update that is not sound: then `run.sound` is False and `batch` is the one that broke it.
        """
        total: dict[str, Any] = {"steps": 0, "episodes": 0, "score": 0.0, "length": 0.0, "rounds": 0}
        while total["steps"] < steps and not stop():
            served = self.source.serve(int(self.run.step), self.run.state.model)
            self.batch, self.samples = served.batch, served.samples
            self.run, metrics = self._learn(self.algorithm, self.run, self._place(served.batch))
            if not bool(self.run.sound):
                break
            once = {"steps": 1, "rounds": 1, "learning_rounds": 1}
            for name, value in (served.tally | jax.device_get(metrics) | once).items():
                total[name] = total.get(name, 0) + value
        return total
