"""Several answers to each prompt, and what becomes of them: the best one, or pairs that a judge compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bellmax.alignment.finding import rewards_of
from bellmax.alignment.policies import find_policy
from bellmax.language import best_of as choice
from bellmax.language import encoding
from bellmax.language.judging import Judge, Labels, label
from bellmax.language.rows import read_rows
from bellmax.language.sampler import Sampling
from bellmax.language.texts import Texts, answers
from bellmax.language.writing import answer, keys_of

AT_ONCE = 64  # answers written side by side


class Best(NamedTuple):
    """The best of several answers to each prompt."""

    texts: list[str]  # [prompts]
    reward: np.ndarray  # [prompts], of the best
    candidates: list[list[str]]  # [prompts][n], all that were written
    rewards: np.ndarray  # [prompts, n]


class _Part(NamedTuple):
    """Some of the answers."""

    rows: list[Mapping[str, Any]]
    prompts: list[str]
    texts: list[str]
    tokens: Texts


def best_of(
    model: Any,
    prompts: str | Sequence[Any],
    reward: Any,
    n: int = 8,
    *,
    sampling: Sampling | None = None,
    seed: int = 0,
) -> Best:
    """Answer every prompt n times and keep what the reward likes best (best-of-n, or rejection sampling).

    model, reward   as in `align`
    prompts         text, lists of messages, or rows with a `prompt` and what else the reward reads
    n               the policy that answers so is ln n - (n - 1) / n nats from the model at most (`kl_of_best`)
    """
    rows = [row if isinstance(row, Mapping) else {"prompt": row} for row in _several(prompts)]
    judged, texts = rewards_of(reward), []
    rewards: list[float] = []
    for part in _written(model, rows, n, sampling or Sampling(), seed):
        rewards += judged(part.prompts, part.texts, part.rows, part.tokens).total.tolist()
        texts += part.texts
    chosen = choice.best_of(rewards, n)
    grouped = [texts[i : i + n] for i in range(0, len(texts), n)]
    together = np.asarray(rewards).reshape(-1, n)
    return Best([texts[i] for i in chosen], together.max(1), grouped, together)


def judged_pairs(
    model: Any,
    data: Any,
    judge: Judge,
    principles: Sequence[str],
    *,
    sampling: Sampling | None = None,
    seed: int = 0,
    least: float = 0.0,
    timeout: float = 60.0,
    workers: int = 8,
) -> Labels:
    """Have the model answer every prompt twice and a judge compare: preferences for `reward` or `dpo`, as in RLAIF.

    data    a file, or rows, with a `prompt` each; the rest is as in `bellmax.language.judging.label`. Pairs of two
            answers that are alike are not judged, and left out.
    """
    rows: Any = read_rows(data, "prompts")
    pairs = []
    for part in _written(model, rows, 2, sampling or Sampling(), seed):
        for row, a, b in zip(part.rows[::2], part.texts[::2], part.texts[1::2]):
            pairs += [{**row, "a": a, "b": b}] if a != b else []
    return label(pairs, judge, principles, least=least, timeout=timeout, workers=workers)


def _several(prompts: Any) -> list[Any]:
    return [prompts] if isinstance(prompts, str) else list(prompts)


def _written(model: Any, rows: Sequence[Mapping[str, Any]], n: int, sampling: Sampling, seed: int) -> Iterator[_Part]:
    """n answers to every row, beside each other, some rows at a time."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n = {n!r}: give a whole number of at least 1.")
    policy = find_policy(model)
    encoded = encoding.prompts(rows, policy.tokeniser)
    width = max(len(tokens) for tokens, _ in encoded)  # the same for all: one program
    keys = keys_of(seed, 0, n * len(rows))
    each = max(1, AT_ONCE // n)
    for first in range(0, len(rows), each):
        places = [i for i in range(first, min(first + each, len(rows))) for _ in range(n)]
        mine = keys[first * n : first * n + len(places)]
        tokens = [encoded[i][0] for i in places]
        written = answer(policy.model, policy.tokeniser, tokens, mine, sampling, width=width)
        texts = answers(written.prompts, written.written, np.zeros(len(places))).texts
        yield _Part([rows[i] for i in places], [encoded[i][1] for i in places], written.texts, texts)
