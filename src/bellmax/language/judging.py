"""Preferences from a judge that reads principles: reinforcement learning from AI feedback.

Bai et al., 2022, Constitutional AI, https://arxiv.org/abs/2212.08073; Lee et al., 2023, RLAIF,
https://arxiv.org/abs/2309.00267, who show both orders of a pair and take the mean, since judges like what comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bellmax.language.in_parallel import Loop, Outcome, in_parallel
from bellmax.language.rewards import settled_number

Judge = Callable[[Any, str, str, str], Any]  # prompt, answer a, answer b, principle -> probability that a is better


class Labels(NamedTuple):
    """What a judge said of pairs."""

    rows: list[dict[str, Any]]  # prompt, chosen, rejected, margin, and the pair's other columns
    undecided: list[int]  # pairs, by their place, that were not clear enough
    failed: list[int]  # pairs for which the judge raised, was late, or gave no probability
    first: float  # mean probability of the answer that was shown first; 0.5 where order does not count
    complaint: str | None  # what first went wrong


def label(
    pairs: Sequence[Mapping[str, Any]],
    judge: Judge,
    principles: Sequence[str],
    *,
    least: float = 0.0,
    timeout: float = 60.0,
    workers: int = 8,
) -> Labels:
    """Have pairs of answers judged -> rows to train a reward model or DPO on.

    pairs       rows with `prompt` and two answers, `a` and `b`; other columns are kept
    judge       judge(prompt, a, b, principle) -> probability that a is better, or whether it is; it may be `async`. It
                is asked in both orders
    principles  what is to count; the mean over all of them decides
    least       pairs whose margin is not greater are undecided; the margin is |2 p - 1| of the mean probability p, from
                0 to 1, and a judge that always takes what comes first has 0
    timeout     seconds that one question may take

    Undecided and failed pairs are left out of the rows.
    """
    _check(pairs, principles, least)
    loop = Loop()
    calls = [
        partial(_asked, judge, loop, timeout, pair["prompt"], *order, principle)
        for pair in pairs
        for principle in principles
        for order in ((pair["a"], pair["b"]), (pair["b"], pair["a"]))
    ]
    outcomes = in_parallel(calls, timeout, workers)
    each = 2 * len(principles)
    said = [outcomes[i : i + each] for i in range(0, len(outcomes), each)]
    rows, undecided, failed = [], [], []
    for place, (pair, answers) in enumerate(zip(pairs, said)):
        if any(outcome.error is not None for outcome in answers):
            failed.append(place)
            continue
        probability = _better(answers)
        if abs(2 * probability - 1) <= max(least, 1e-12):
            undecided.append(place)
        else:
            rows.append(_row(pair, probability))
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    first = [outcome.value for outcome in outcomes if outcome.error is None]
    complaint = (
        f"the judge failed {len(errors)} times, first with {type(errors[0]).__name__}: {errors[0]}" if errors else None
    )
    return Labels(rows, undecided, failed, float(np.mean(first)) if first else float("nan"), complaint)


def _better(answers: Sequence[Outcome]) -> float:
    """The probability that a is better: what was said with a first, and the rest of what was said with b first."""
    forth, back = [x.value for x in answers[::2]], [1 - x.value for x in answers[1::2]]
    return float(np.mean(forth + back))


def _row(pair: Mapping[str, Any], probability: float) -> dict[str, Any]:
    chosen, rejected = ("a", "b") if probability > 0.5 else ("b", "a")
    rest = {name: value for name, value in pair.items() if name not in ("prompt", "a", "b")}
    judged = {"chosen": pair[chosen], "rejected": pair[rejected], "margin": abs(2 * probability - 1)}
    return {"prompt": pair["prompt"]} | judged | rest


def _asked(judge: Judge, loop: Loop, timeout: float, *question: Any) -> float:
    probability = settled_number(judge(*question), loop, timeout)
    if not 0 <= probability <= 1:
        raise ValueError(f"the judge said {probability}, which is no probability")
    return probability


def _check(pairs: Sequence[Mapping[str, Any]], principles: Sequence[str], least: float) -> None:
    if isinstance(principles, str) or not principles:
        raise ValueError(f"principles = {principles!r}: give a list of at least one sentence.")
    if not 0 <= least < 1:
        raise ValueError(f"least = {least!r}: it must be in [0, 1).")
    for place, pair in enumerate(pairs):
        missing = [name for name in ("prompt", "a", "b") if name not in pair]
        if missing:
            raise ValueError(f"pair {place} has no {missing[0]!r}: a pair has a prompt and two answers, a and b.")
