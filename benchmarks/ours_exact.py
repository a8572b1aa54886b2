"""bellmax's side of the exact solvers' table: one JSON argument in, one JSON line out.

`python -m benchmarks.ours_exact '{"what": "sweep", "rows": 1000, "columns": 1000, ...}'`.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

COMMAND = [sys.executable, "-m", "benchmarks.ours_exact"]
IN_A_ROW = 20  # sweeps in one call of the solver's loop


def main(job: dict[str, Any]) -> dict[str, Any]:
    import jax

    measured = {"model": store, "sweep": sweep, "solution": solution}[job["what"]](job)
    names = ("bellmax", "jax", "jaxlib", "numpy")
    return measured | {"device": jax.devices()[0].device_kind, "versions": {name: version(name) for name in names}}


def model(job: dict[str, Any]) -> Any:
    from bellmax.mdp import slippery_grid

    return slippery_grid(job["rows"], job["columns"], gamma=job["gamma"], seed=job["seed"])


def store(job: dict[str, Any]) -> dict[str, Any]:
    """Write the model for the peers."""
    mdp = model(job)
    arrays = {name: getattr(mdp, name) for name in ("successor", "probability", "reward", "absorbing", "gamma")}
    np.savez(job["model"], **arrays)
    return {"bytes": mdp.nbytes}


def sweep(job: dict[str, Any]) -> dict[str, Any]:
    """A sweep as value iteration makes it, residual and bound included; and how fast memory is read."""
    import jax.numpy as jnp

    from bellmax.mdp import sweeps
    from bellmax.mdp.solution import problem

    mdp = model(job)
    it = problem(mdp)
    values = -60 * np.random.default_rng(0).random(mdp.states, np.float32)
    values = jnp.asarray(np.where(mdp.absorbing, 0, values).astype(np.float32))
    never, factors = jnp.float32(-1), jnp.asarray(it.factors, jnp.float32)
    once = lambda: sweeps.iterate(it.model, values, factors, never, never, jnp.int32(IN_A_ROW))
    seconds = timed(once, job["calls"]) / IN_A_ROW
    per_byte = timed(lambda: jnp.sum(it.model.probability), 5 * job["calls"]) / it.model.probability.nbytes
    read = sum(getattr(it.model, name).nbytes for name in ("probability", "reward", "successor"))
    return {
        "seconds_per_sweep": seconds,
        "check": float(np.mean(sweeps.backup(it.model, values), dtype=np.float64)),
        "gigabytes_per_second": 1e-9 / per_byte,
        "model_bytes": mdp.nbytes,
        "seconds_to_read_the_model": mdp.nbytes * per_byte,
        "seconds_to_read_what_a_sweep_reads": read * per_byte,
        "layout": it.model.kind,
    }


def solution(job: dict[str, Any]) -> dict[str, Any]:
    """`solve`, twice: the first compiles. Memory is said before it starts, and looked at when it is over."""
    from bellmax.mdp.solving import memory_needed, solve

    mdp = model(job)
    said = memory_needed(mdp)
    times = []
    for _ in range(job["solves"]):
        found = solve(mdp, tolerance=job["tolerance"])
        times.append(found.seconds)
    if job.get("values"):
        np.save(job["values"], found.values)
    return {
        "seconds": times[-1],
        "seconds_with_compiling": times[0],
        "sweeps": found.sweeps,
        "bound": found.bound,
        "method": found.method,
        "gigabytes_said": said / 1e9,
        "gigabytes_at_most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def timed(call: Callable[[], Any], calls: int) -> float:
    """The median of `calls`, after two that compile and warm up."""
    import jax

    seconds = []
    for _ in range(2 + calls):
        start = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
