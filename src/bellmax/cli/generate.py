"""`bellmax generate MODEL PROMPT...`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import Positional, arg

from bellmax.alignment.choosing import best_of
from bellmax.alignment.policies import find_policy
from bellmax.cli.flags import Flag, parse
from bellmax.language.encoding import prompt_of
from bellmax.language.sampler import Sampling
from bellmax.language.writing import answer, keys_of


@dataclass(frozen=True)
class Generate:
    """Have a language model answer prompts: those given, or the lines of standard input."""

    model: Annotated[
        str, Positional, arg(metavar="MODEL", help="a Hugging Face folder, a run's folder, a .gguf, smollm2")
    ]
    prompts: Annotated[tuple[str, ...], Positional, arg(metavar="PROMPT")] = ()  # what to answer
    max_tokens: int = 128  # at most so many are written
    temperature: float = 1.0  # divides the logits; 0 takes the likeliest
    top_k: int | None = None  # only the k likeliest tokens
    top_p: float | None = None  # only the likeliest that together have this probability
    min_p: float | None = None  # only those at least so likely as a share of the likeliest
    stop: tuple[str, ...] = ()  # an answer ends where it holds one of these
    chat: Flag = False  # put each prompt into the model's chat template, as a message of the user
    reward: tuple[str, ...] = ()  # with --best-of: names of rewards, module:function, or a run's folder
    best_of: int = 1  # answer so often, and print what the reward likes best
    seed: int = 0
    json: Flag = False  # print each answer as a line of JSON


def main(words: list[str]) -> None:
    """Print an answer to each prompt."""
    asked = parse(Generate, words, "generate")
    prompts = list(asked.prompts) or [line.rstrip("\n") for line in sys.stdin]
    if not prompts:
        raise ValueError('no prompt: give one, as in `bellmax generate MODEL "Hello"`, or lines on standard input.')
    if (asked.best_of > 1) != bool(asked.reward):
        raise ValueError("--best-of N and --reward NAME go together: the reward says which of N answers is the best.")
    rows = [[{"role": "user", "content": prompt}] if asked.chat else prompt for prompt in prompts]
    sampling = Sampling(asked.max_tokens, asked.temperature, asked.top_k, asked.top_p, asked.min_p, asked.stop)
    for line in _best(asked, prompts, rows, sampling) if asked.reward else _plain(asked, prompts, rows, sampling):
        print(json.dumps(line) if asked.json else line["answer"])


def _plain(asked: Generate, prompts: list[str], rows: list[Any], sampling: Sampling) -> list[dict[str, Any]]:
    policy = find_policy(asked.model)
    tokens = [prompt_of(policy.tokeniser, {"prompt": row})[0] for row in rows]
    answered = answer(policy.model, policy.tokeniser, tokens, keys_of(asked.seed, 0, len(tokens)), sampling)
    return [{"prompt": prompt, "answer": text} for prompt, text in zip(prompts, answered.texts)]


def _best(asked: Generate, prompts: list[str], rows: list[Any], sampling: Sampling) -> list[dict[str, Any]]:
    best = best_of(asked.model, rows, list(asked.reward), asked.best_of, sampling=sampling, seed=asked.seed)
    found = zip(prompts, best.texts, best.reward.tolist())
    return [{"prompt": prompt, "answer": text, "reward": reward} for prompt, text, reward in found]
