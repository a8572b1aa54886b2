"""DQN of Rejax on gymnax's CartPole-v1: one JSON argument in, one JSON line out.

Runs in an environment of its own and imports nothing of bellmax. The argument holds the settings of
benchmarks/settings.py, with "env" and "seed". PEER_CORES keeps it to so many cores, where the system can. Rejax counts
a run from its start, so the time of a run of "warm_up" steps is taken off that of "warm_up" + "steps".
"""

import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

import jax
from rejax import DQN


def main(job: dict[str, Any]) -> dict[str, Any]:
    count = os.environ.get("PEER_CORES")
    if count and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(count)])
    whole, early = (seconds(job, steps) for steps in (job["warm_up"] + job["steps"], job["warm_up"]))
    return {
        "steps": job["steps"],
        "seconds": whole - early,
        "steps_per_second": job["steps"] / (whole - early),
        "seed": job["seed"],
        "versions": {name: version(name) for name in ("rejax", "gymnax", "jax", "jaxlib", "flax", "numpy")},
    }


def seconds(job: dict[str, Any], steps: int) -> float:
    """The time of a run, compiled before."""
    agent = DQN.create(
        env=job["env"],
        agent_kwargs={"activation": "relu"},  # two layers of 64, whatever one asks for
        ddqn=False,
        total_timesteps=steps,
        eval_freq=steps,
        skip_initial_evaluation=True,
        num_envs=1,
        buffer_size=job["capacity"],
        fill_buffer=job["start"],
        batch_size=job["batch"],
        num_epochs=job["updates"],
        learning_rate=job["learning_rate"],
        target_update_freq=job["target_every"],
        eps_start=job["epsilon"],
        eps_end=job["epsilon"],
    ).replace(eval_callback=lambda agent, state, key: ())
    train, key = jax.jit(lambda key: agent.train(key)[0]), jax.random.PRNGKey(job["seed"])
    compiled = train.lower(key).compile()
    jax.block_until_ready(compiled(key))
    start = time.perf_counter()
    jax.block_until_ready(compiled(key))
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
