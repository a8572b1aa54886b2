"""bellmax's side of the tabular speeds, and the loop that a course would write: one JSON argument in, one line out."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np

COMMAND = [sys.executable, "-m", "benchmarks.ours_tables"]
EPSILON, ALPHA, GAMMA = 0.1, 0.1, 0.99


def main(job: dict[str, Any]) -> dict[str, Any]:
    found = {"model": model, "tables": tables, "fleet": fleet, "python": python}[job["what"]](job)
    return found | {"versions": {name: version(name) for name in ("bellmax", "jax", "gymnasium", "numpy")}}


def model(job: dict[str, Any]) -> dict[str, Any]:
    """Write FrozenLake's model for the peer to read."""
    from bellmax import mdp

    lake = mdp.from_gymnasium("FrozenLake-v1", gamma=GAMMA)
    rows = {"sums": np.cumsum(lake.probability, axis=1), "successor": lake.successor, "reward": lake.reward}
    rows["ends"] = lake.absorbing[lake.successor]
    shape = lake.probability.shape
    turned = {name: np.broadcast_to(x, shape).transpose(2, 0, 1).copy() for name, x in rows.items()}
    np.savez(job["model"], **turned, start=int(np.argmax(lake.starts())))
    return {}


def tables(job: dict[str, Any]) -> dict[str, Any]:
    """Q-learning through the front door, on the same model or on bellmax's own lake."""
    import bellmax as bm

    settings: dict[str, Any] = {"num_envs": 1, "run_folder": None, "display": "quiet", "seeds": job["seeds"]}
    bm.train(learner(), world(job), steps=1_000, **settings)  # compiles
    run = bm.train(learner(), world(job), steps=job["steps"], **settings)
    start = float(np.asarray(run.state.q).reshape(-1, 16, 4)[:, 0].max(-1).mean())
    return {"steps_per_second": run.timing["steps_per_second"], "start_value": start}


def fleet(job: dict[str, Any]) -> dict[str, Any]:
    """As many tables as there are seeds, by the driver that the front door uses, without its looks in between."""
    from bellmax.drivers.fleet import Fleet

    seeds, steps = job["seeds"], job["steps"]
    made = Fleet([learner()] * len(seeds), world(job), seeds, 1)
    made.compile()
    began = time.perf_counter()
    totals = made.advance(steps, [steps] * len(seeds))
    seconds = time.perf_counter() - began
    start = float(made.runs.state.q.reshape(-1, 16, 4)[:, 0].max(-1).mean())
    return {"steps_per_second": sum(int(total["steps"]) for total in totals) / seconds, "start_value": start}


def learner() -> Any:
    import bellmax as bm

    return bm.QLearning(learning_rate=ALPHA, gamma=GAMMA, exploration=bm.EpsilonGreedy(EPSILON))


def world(job: dict[str, Any]) -> Any:
    import bellmax as bm
    from bellmax import mdp
    from bellmax.envs import FrozenLake

    if job["world"] == "own":
        return FrozenLake()
    return bm.World(mdp.from_gymnasium("FrozenLake-v1", gamma=GAMMA), max_steps=100)


def python(job: dict[str, Any]) -> dict[str, Any]:
    """Plain Python with a NumPy table on Gymnasium's environment."""
    import gymnasium

    env, random = gymnasium.make("FrozenLake-v1"), np.random.default_rng(job.get("seed", 0))
    q = random.random((16, 4)) * 1e-6  # instead of ties, which would take a third of the time
    state, _ = env.reset(seed=0)
    began = time.perf_counter()
    for _ in range(job["steps"]):
        action = int(random.integers(4)) if random.random() < EPSILON else int(q[state].argmax())
        there, reward, terminated, truncated, _ = env.step(action)
        q[state, action] += ALPHA * (reward + GAMMA * (not terminated) * q[there].max() - q[state, action])
        state = env.reset()[0] if terminated or truncated else there
    return {"steps_per_second": job["steps"] / (time.perf_counter() - began), "start_value": float(q[0].max())}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
