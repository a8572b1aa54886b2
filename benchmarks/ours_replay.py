"""bellmax's side of the replay table: one JSON argument in, one JSON line out.

`python -m benchmarks.ours_replay '{"what": "speed", "algorithm": "sac", ...}'`
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

from benchmarks.ours import first_reached

PEAK_SIZE, PEAK_REPEATS = 256, 2_000


def main(job: dict[str, Any]) -> dict[str, Any]:
    import jax

    measured = {"speed": speed, "solve": solve, "peak": peak}[job["what"]](job)
    names = ("bellmax", "jax", "jaxlib", "equinox", "optax", "gymnasium", "numpy")
    return measured | {"device": jax.devices()[0].device_kind, "versions": {name: version(name) for name in names}}


def speed(job: dict[str, Any]) -> dict[str, Any]:
    """Steps a second of a run whose updates began before the clock: the first call fills up and compiles."""
    import jax

    from bellmax.drivers import ingraph
    from bellmax.drivers.hosted import Drive
    from bellmax.envs.names import find

    algorithm, env = made(job), find(job["env"])
    key = jax.random.key(job["seed"])
    num_envs = job.get("num_envs", 1)
    rounds = lambda steps: steps // (algorithm.experience.length * num_envs)
    if not hasattr(env, "vector"):
        run = jax.jit(ingraph.start, static_argnums=3)(algorithm, env, key, num_envs)
        run, _ = ingraph.advance(algorithm, env, run, rounds(job["warm_up"]), 10**9)
        jax.block_until_ready(run.state)
        start = time.perf_counter()
        run, total = ingraph.advance(algorithm, env, run, rounds(job["steps"]), 10**9)
        jax.block_until_ready(run.state)
    else:
        drive = Drive(algorithm, env.vector(num_envs, job["seed"]), key, overlap=job.get("overlap", False))
        drive.advance(rounds(job["warm_up"]), 10**9)
        start = time.perf_counter()
        total = drive.advance(rounds(job["steps"]), 10**9)
    seconds, steps = time.perf_counter() - start, int(total["steps"])
    return {"steps": steps, "seconds": seconds, "steps_per_second": steps / seconds, "seed": job["seed"]}


def solve(job: dict[str, Any]) -> dict[str, Any]:
    """The steps every seed took until a greedy evaluation reached `threshold`, with the recipe; null where none did."""
    import bellmax

    run = bellmax.train(
        job["algorithm"],
        job["env"],
        steps=job["steps"],
        seeds=job["seeds"],
        evaluate_every=job["evaluate_every"],
        evaluation_episodes=job["episodes"],
        run_folder=None,
        display="quiet",
    )
    return {"steps_to_solve": first_reached(run.evaluations, job["threshold"], job["seeds"]), "seeds": job["seeds"]}


def peak(job: dict[str, Any]) -> dict[str, Any]:
    """Products of 256 x 256 matrices a second, one after the other, as an update of these networks has them."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.full((PEAK_SIZE, PEAK_SIZE), 1 / PEAK_SIZE)
    product = jax.jit(lambda x: jax.lax.fori_loop(0, PEAK_REPEATS, lambda _, x: x @ matrix, x))
    jax.block_until_ready(product(matrix))
    start = time.perf_counter()
    jax.block_until_ready(product(matrix))
    seconds = time.perf_counter() - start
    return {"gigaflops": 2 * PEAK_SIZE**3 * PEAK_REPEATS / seconds / 1e9, "seed": job["seed"]}


def made(job: dict[str, Any]) -> Any:
    """The settings of benchmarks/settings.py in bellmax's words."""
    from bellmax import DQN, SAC, EpsilonGreedy, Replay

    same = {name: job[name] for name in ("batch", "length", "updates", "start", "frames") if name in job}
    experience = Replay(job["capacity"], **same)
    same = {"experience": experience, "hidden": tuple(job["hidden"]), "learning_rate": job["learning_rate"]}
    if job["algorithm"] == "sac":
        return SAC(**same, critic_learning_rate=job["learning_rate"])
    return DQN(**same, exploration=EpsilonGreedy(job["epsilon"]), target_every=job["target_every"], double=False)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
