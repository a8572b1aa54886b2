"""`bellmax label MODEL DATA --judge MODULE:FUNCTION --principle "..."`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from bellmax.alignment.choosing import judged_pairs
from bellmax.cli.flags import parse
from bellmax.language.reward_names import find_judge
from bellmax.language.sampler import Sampling


@dataclass(frozen=True)
class Label:
    """Have a model answer every prompt twice and a judge compare: pairs for `bellmax reward` or `bellmax dpo`."""

    model: Annotated[str, Positional, arg(metavar="MODEL", help="a Hugging Face folder, a run's folder, or a .gguf")]
    data: Annotated[str, Positional, arg(metavar="DATA", help="a .jsonl or .parquet file of prompts")]
    judge: str  # module:function of (prompt, a, b, principle) -> probability that a is better; it may be async
    principle: tuple[str, ...]  # what is to count, a sentence each; the mean over all of them decides
    out: str = "pairs.jsonl"  # where the pairs go
    least: float = 0.0  # pairs with a smaller margin, 0 to 1, are left out
    timeout: float = 60.0  # seconds that one question may take
    max_tokens: int = 128  # of an answer
    temperature: float = 1.0  # divides the logits
    seed: int = 0


def main(words: list[str]) -> None:
    """Write the pairs, and say how the judge did."""
    asked = parse(Label, words, "label")
    judge, path = find_judge(asked.judge), Path(asked.out)
    if path.exists():
        raise ValueError(f"--out {path}: it is there already; give another name, or remove it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--out {path}: there is no folder {path.parent}.")
    sampling = Sampling(asked.max_tokens, asked.temperature)
    labels = judged_pairs(
        asked.model,
        asked.data,
        judge,
        asked.principle,
        sampling=sampling,
        seed=asked.seed,
        least=asked.least,
        timeout=asked.timeout,
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in labels.rows), encoding="utf-8")
    print(f"{len(labels.rows)} pairs -> {path}; {len(labels.undecided)} undecided, {len(labels.failed)} failed")
    if labels.complaint is not None:
        print(labels.complaint)
    if abs(labels.first - 0.5) > 0.1:
        print(f"the judge gives the answer it sees first {labels.first:.2f} on average: both orders were asked")
