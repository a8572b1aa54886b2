"""Many runs together in the graph: one a seed, or one a setting of the float hyperparameters.

On an accelerator the runs are stacked and `vmap`ped. On the CPU batching gains nothing, so each core takes a run at
a time from the line: compiled code leaves Python's lock alone, and plain threads keep every core busy.
Either way one compilation serves them all, and each run is the run it would have been alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp

from bellmax.core import Algorithm, Env
from bellmax.drivers import ingraph

Totals = dict[str, Any]


class Fleet:
    """Runs of one environment. `algorithms` are alike but for their floats, one a run."""

    def __init__(
        self,
        algorithms: Sequence[Algorithm],
        env: Env,
        seeds: Sequence[int],
        num_envs: int,
        runs: ingraph.Run | None = None,
        stacked: bool | None = None,
    ):
        """Begin with `seeds`, or go on with `runs`, stacked along a leading axis."""
        self.algorithms, self.env = list(algorithms), env
        self._stacked = jax.default_backend() != "cpu" if stacked is None else stacked
        self._stacked = self._stacked and len(seeds) > 1
        self._threads = ThreadPoolExecutor(os.cpu_count())
        if runs is None:
            begin = jax.jit(ingraph.start, static_argnames="num_envs")
            singles = [begin(a, env, jax.random.key(s), num_envs=num_envs) for a, s in zip(self.algorithms, seeds)]
            self._runs = [stack(singles)] if self._stacked else singles
        else:
            runs = jax.tree.map(jnp.asarray, runs)
            runs = runs._replace(sound=jnp.ones_like(runs.sound))  # whatever broke may have been mended
            self._runs = [runs] if self._stacked else unstack(runs, len(seeds))
        self._together = stack(self.algorithms) if self._stacked else None

    def begin_as(self, change: Callable[[int, ingraph.Run], ingraph.Run]) -> None:
        """Put `change(index, run)` in the place of every fresh run."""
        made = [change(index, self.run(index)) for index in range(len(self.algorithms))]
        self._runs = [stack(made)] if self._stacked else made

    def compile(self) -> None:
        """Compile, without taking a step."""
        self.advance(0, [0] * len(self.algorithms))

    def advance(self, rounds: int, most_steps: Sequence[int]) -> list[Totals]:
        """Up to `rounds` more rounds each, fewer for a run that has taken `most_steps` -> metrics summed, one a run."""
        if self._stacked:
            most = jnp.asarray([min(most, 2**31 - 1) for most in most_steps], jnp.int32)
            self._runs[0], totals = ingraph.advance(self._together, self.env, self._runs[0], jnp.int32(rounds), most)
            totals = jax.device_get(totals)
            return unstack(totals, len(self.algorithms))

        def one(index: int) -> Totals:
            most = jnp.int32(min(most_steps[index], 2**31 - 1))
            run, total = ingraph.advance(self.algorithms[index], self.env, self._runs[index], jnp.int32(rounds), most)
            self._runs[index] = run
            return jax.device_get(total)

        return list(self._map(one, range(len(self.algorithms))))

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown()

    def _map(self, function: Callable[[int], Totals], indices: Sequence[int]) -> Any:
        return self._threads.map(function, indices) if len(indices) > 1 else map(function, indices)

    @property
    def runs(self) -> ingraph.Run:
        """All runs, stacked along a leading axis, on the host."""
        runs = self._runs[0] if self._stacked else stack(self._runs)
        return jax.device_get(runs)

    def run(self, index: int) -> ingraph.Run:
        """One of the runs."""
        return jax.tree.map(lambda x: x[index], self._runs[0]) if self._stacked else self._runs[index]


def stack(trees: Sequence[Any]) -> Any:
    """Trees of equal structure -> one tree with a leading axis."""
    return jax.tree.map(lambda *x: jnp.stack(x), *trees)


def unstack(tree: Any, count: int) -> list[Any]:
    """The other way round."""
    leaves, structure = jax.tree.flatten(tree)
    return [jax.tree.unflatten(structure, [x[index] for x in leaves]) for index in range(count)]
