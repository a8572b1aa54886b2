"""bellmax's side of the table of language models: one JSON argument in, one JSON line out.

`python -m benchmarks.ours_language '{"what": "grpo", "folder": ..., "rows": [...], ...}'`
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib.metadata import version
from typing import Any


def main(job: dict[str, Any]) -> dict[str, Any]:
    import jax

    seconds, count = {"grpo": grpo, "sft": sft, "generate": generate}[job["what"]](job)
    names = ("bellmax", "jax", "jaxlib", "equinox", "optax", "tokenizers", "numpy")
    return {
        "steps_per_second": count / seconds,
        "seconds": seconds,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "seed": job["seed"],
        "device": jax.devices()[0].device_kind,
        "versions": {name: version(name) for name in names},
    }


def grpo(job: dict[str, Any]) -> tuple[float, int]:
    import bellmax as bm

    sampling = bm.Sampling(max_tokens=job["new"])
    experience = bm.Completions(prompts=job["prompts"], group=job["group"], sampling=sampling)
    learner = bm.GRPO(experience=experience, learning_rate=job["learning_rate"], kl_weight=job["beta"])
    return timed(job, learner, reward={"e": lambda prompt, completion, row: float(completion.count("e"))})


def sft(job: dict[str, Any]) -> tuple[float, int]:
    import bellmax as bm

    experience = bm.Examples(batch=job["batch"], length=job["length"])
    return timed(job, bm.SFT(experience=experience, learning_rate=job["learning_rate"]))


def timed(job: dict[str, Any], learner: Any, **more: Any) -> tuple[float, int]:
    """Seconds from the end of the warm-up to the end; every step ends a row, as a logged step does."""
    import bellmax as bm

    run = bm.align(
        learner,
        job["folder"],
        job["rows"],
        steps=job["warm_up"] + job["steps"],
        seed=job["seed"],
        log_every=1,
        run_folder=None,
        display="quiet",
        **more,
    )
    times = [row["time"] for row in run.metrics]
    return times[-1] - times[job["warm_up"] - 1], job["steps"]


def generate(job: dict[str, Any]) -> tuple[float, int]:
    """Tokens a second."""
    import jax

    from bellmax.alignment.policies import find_policy
    from bellmax.language.sampler import Sampling
    from bellmax.language.writing import answer, keys_of

    policy = find_policy(job["folder"])
    tokens = [policy.tokeniser.encode(row["prompt"]) for row in job["rows"][: job["prompts"] * job["group"]]]

    def write(number: int) -> None:
        keys = keys_of(job["seed"], number, len(tokens))
        answered = answer(policy.model, policy.tokeniser, tokens, keys, Sampling(job["new"]))
        jax.block_until_ready(answered.written.tokens)

    for number in range(job["warm_up"]):
        write(number)
    start = time.perf_counter()
    for number in range(job["steps"]):
        write(job["warm_up"] + number)
    return time.perf_counter() - start, job["steps"] * job["new"] * len(tokens)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
