"""bellmax's side of the tables, measured like a peer: one JSON argument in, one JSON line out.

`python -m benchmarks.ours '{"what": "speed", ...}'`. The only file of the benchmarks that calls bellmax.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

PYTHON = [sys.executable]
COMMAND = [*PYTHON, "-m", "benchmarks.ours"]
IMPORT = [*PYTHON, "-c", "import bellmax"]
BELLMAX = str(Path(sys.executable).with_name("bellmax"))
HELP = [BELLMAX, "--help"]
ONE_ROUND = ["--steps", "256"]  # of the recipe's 8 x 32
FIRST_UPDATE = [BELLMAX, "train", "ppo", "CartPole-v1", *ONE_ROUND, "--quiet", "--run-folder"]
COLD = {"BELLMAX_CACHE": "off", "JAX_PLATFORMS": "cpu"}  # to compile anew, as the peers do


def main(job: dict[str, Any]) -> dict[str, Any]:
    import jax

    measured = {"speed": speed, "scores": scores, "solve": solve}[job["what"]](job)
    names = ("bellmax", "jax", "jaxlib", "equinox", "optax", "gymnasium", "gymnax", "numpy")
    return measured | {"device": jax.devices()[0].device_kind, "versions": {name: version(name) for name in names}}


def speed(job: dict[str, Any]) -> dict[str, Any]:
    """Train twice in this process; the first compiles, the second is timed, as with the peers.

    Running is collecting and learning, compiling is what the library reports as such; "whole" is the second call of
    `train` from its start to its end, with its set-up and what it compiles again.
    """
    compiling = train(job).timing["compile"]
    start = time.perf_counter()
    run = train(job)
    whole = time.perf_counter() - start
    return {
        "steps": run.timing["steps"],  # of all seeds together
        "seconds": run.timing["run"],
        "steps_per_second": run.timing["steps"] / run.timing["run"],
        "whole": whole,
        "compile_seconds": compiling,
        "greedy_return": sum(greedy_returns(run, job)) / len(job["seeds"]) if job["episodes"] else None,
        "seeds": job["seeds"],
    }


def scores(job: dict[str, Any]) -> dict[str, Any]:
    """The greedy return of every seed after training, a mean of `episodes` episodes."""
    return {"greedy_returns": greedy_returns(train(job), job), "seeds": job["seeds"]}


def greedy_returns(run: Any, job: dict[str, Any]) -> list[float]:
    """One mean a seed."""
    played = run.evaluate(episodes=job["episodes"]).scores  # the episodes of the first seed, of the second, ...
    return played.reshape(len(job["seeds"]), -1).mean(axis=1).tolist()


def solve(job: dict[str, Any]) -> dict[str, Any]:
    """The steps every seed took until a greedy evaluation reached `threshold`; null where none did."""
    run = train(job, evaluate_every=job["evaluate_every"], evaluation_episodes=job["episodes"])
    return {"steps_to_solve": first_reached(run.evaluations, job["threshold"], job["seeds"]), "seeds": job["seeds"]}


def first_reached(evaluations: list[dict[str, Any]], threshold: float, seeds: list[int]) -> list[int | None]:
    """Rows with "seed", "step" and "mean" -> for each seed the first step with at least `threshold`, None if none."""
    reached = [(row["seed"], row["step"]) for row in evaluations if row["mean"] >= threshold]
    return [min((step for seed, step in reached if seed == wanted), default=None) for wanted in seeds]


def train(job: dict[str, Any], **more: Any) -> Any:
    import bellmax

    return bellmax.train(
        ppo(job),
        job["env"],
        steps=job["steps"],
        num_envs=job["num_envs"],
        seeds=job["seeds"],
        run_folder=None,
        display="quiet",
        **more,
    )


def ppo(job: dict[str, Any]) -> Any:
    """The settings of benchmarks/settings.py in bellmax's words."""
    from bellmax import PPO, Linear, Steps

    return PPO(
        experience=Steps(job["length"]),
        gamma=job["gamma"],
        gae_lambda=job["gae_lambda"],
        clip=Linear(job["clip"], 0.0),
        value_weight=job["value_weight"],
        entropy_weight=job["entropy_weight"],
        epochs=job["epochs"],
        minibatches=job["minibatches"],
        learning_rate=Linear(job["learning_rate"], 0.0),
        max_grad_norm=job["max_grad_norm"],
        hidden=tuple(job["hidden"]),
        activation=job["activation"],
    )


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
