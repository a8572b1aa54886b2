"""TRL's GRPO and SFT and transformers' generate on the CPU: one JSON argument in, one JSON line out.

Runs in an environment of its own and imports nothing of bellmax. The argument is one of benchmarks/settings.py's
LANGUAGE jobs, with "folder" (a Hugging Face folder), "what" and "seed". Threads come from OMP_NUM_THREADS.
"""

import json
import os
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback


class Clock(TrainerCallback):
    """When each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *rest: Any, **more: Any) -> None:
        self.ends.append(time.perf_counter())


def main(job: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(job["seed"])
    seconds, count = {"grpo": grpo, "sft": sft, "generate": generate}[job["what"]](job)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    names = ("trl", "transformers", "torch")
    return {
        "steps_per_second": count / seconds,
        "seconds": seconds,
        "peak_bytes": peak,
        "seed": job["seed"],
        "versions": {name: version(name) for name in names},
    }


def grpo(job: dict[str, Any]) -> tuple[float, int]:
    from trl import GRPOConfig, GRPOTrainer

    settings = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=job["prompts"] * job["group"],
        num_generations=job["group"],
        max_completion_length=job["new"],
        generation_kwargs={"min_new_tokens": job["new"]},
        beta=job["beta"],
        **common(job),
    )
    reward = lambda completions, **rest: [float(text.count("e")) for text in completions]
    return timed(job, GRPOTrainer(job["folder"], reward, settings, train_dataset=Dataset.from_list(job["rows"])))


def sft(job: dict[str, Any]) -> tuple[float, int]:
    from trl import SFTConfig, SFTTrainer

    settings = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=job["batch"],
        max_length=job["length"],
        **common(job),
    )
    return timed(job, SFTTrainer(job["folder"], settings, train_dataset=Dataset.from_list(job["rows"])))


def common(job: dict[str, Any]) -> dict[str, Any]:
    quiet = {"report_to": "none", "save_strategy": "no", "logging_steps": 10_000, "disable_tqdm": True}
    return quiet | {
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "max_steps": job["warm_up"] + job["steps"],
        "learning_rate": job["learning_rate"],
        "seed": job["seed"],
    }


def timed(job: dict[str, Any], trainer: Any) -> tuple[float, int]:
    clock = Clock()
    trainer.add_callback(clock)
    trainer.train()
    return clock.ends[-1] - clock.ends[job["warm_up"] - 1], job["steps"]


def generate(job: dict[str, Any]) -> tuple[float, int]:
    """Tokens a second."""
    tokeniser = AutoTokenizer.from_pretrained(job["folder"], padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(job["folder"], dtype=torch.float32).eval()
    texts = [row["prompt"] for row in job["rows"][: job["prompts"] * job["group"]]]
    inputs = tokeniser(texts, return_tensors="pt", padding=True)

    def write() -> None:
        with torch.no_grad():
            model.generate(**inputs, do_sample=True, max_new_tokens=job["new"], min_new_tokens=job["new"])

    for _ in range(job["warm_up"]):
        write()
    start = time.perf_counter()
    for _ in range(job["steps"]):
        write()
    return time.perf_counter() - start, job["steps"] * job["new"] * len(texts)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
