"""Rewards of answers: plain Python functions, trained reward models, and weighted sums of both."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bellmax.language.in_parallel import Loop, Outcome, in_parallel
from bellmax.language.model_rewards import EnsembleReward, ModelReward
from bellmax.language.reward_names import UnknownReward, find_reward
from bellmax.language.texts import Texts

Function = Callable[..., Any]  # of prompt, completion, row; or of Texts, if it `judges_tokens`


class Rewarded(NamedTuple):
    """What a batch of answers got."""

    total: np.ndarray  # [batch], the weighted sum
    parts: dict[str, np.ndarray]  # [batch] each, before weights
    failures: dict[str, int]  # calls that raised, were late, or gave no finite number

    def merged(self, other: Rewarded, index: Any) -> Rewarded:
        """Rows `index` of this batch and, behind it, the other; failures are those of both."""

        def both(one: np.ndarray, two: np.ndarray) -> np.ndarray:
            return np.concatenate([one, two])[index]

        parts = {name: both(values, other.parts[name]) for name, values in self.parts.items()}
        failures = {name: count + other.failures[name] for name, count in self.failures.items()}
        return Rewarded(both(self.total, other.total), parts, failures)


class Rewards:
    """Rewards of answers, a weighted sum of parts.

    parts    name -> function, name of one (see `find_reward`), or a pair of that and its weight. A function takes
             (prompt, completion, row) and gives a finite number; it may be `async`. What has a true attribute
             `judges_tokens`, such as `ModelReward`, takes `Texts` and gives [batch] numbers: no text is encoded again
    timeout  seconds that one call may take
    failed   what a part gives for a call that raises, is late, or gives no finite number; it is counted
    workers  calls at once

    Everything about the parts is checked on construction. `complaint` says what was first wrong with a call.
    """

    def __init__(
        self,
        parts: Mapping[str, Any],
        timeout: float = 10.0,
        failed: float = 0.0,
        workers: int = 8,
    ):
        if not parts:
            raise ValueError("Rewards.parts is empty: give at least one function, as {name: function}.")
        if not timeout > 0:
            raise ValueError(f"Rewards.timeout = {timeout!r}: it must be greater than 0.")
        if not math.isfinite(failed):
            raise ValueError(f"Rewards.failed = {failed!r}: it must be a finite number.")
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ValueError(f"Rewards.workers = {workers!r}: give a whole number of at least 1.")
        self.functions: dict[str, Function] = {}
        self.weights: dict[str, float] = {}
        for name, part in parts.items():
            self.functions[name], self.weights[name] = _part(name, part)
        self.timeout, self.failed, self.workers = timeout, failed, workers
        self.complaint: str | None = None
        self._loop = Loop()

    @property
    def judges_tokens(self) -> bool:
        """Does any part need the tokens?"""
        return any(_judges_tokens(function) for function in self.functions.values())

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[str],
        rows: Sequence[Mapping[str, Any]] | None = None,
        texts: Texts | None = None,
    ) -> Rewarded:
        """Judge a batch; `texts` are its tokens, for parts that judge those. The order of rows is kept."""
        rows = [{}] * len(prompts) if rows is None else rows
        if not len(prompts) == len(completions) == len(rows):
            counts = f"{len(prompts)} prompts, {len(completions)} completions and {len(rows)} rows"
            raise ValueError(f"rewards of {counts}: give as many of each.")
        judged = self._judge_tokens(texts, len(prompts)) | self._judge_words(prompts, completions, rows)
        values = {name: np.array([outcome.value for outcome in judged[name]], float) for name in self.functions}
        failures = {name: sum(outcome.error is not None for outcome in judged[name]) for name in self.functions}
        for name in self.functions:
            self._complain(name, judged[name])
        total = sum((self.weights[name] * values[name] for name in self.functions), np.zeros(len(prompts)))
        return Rewarded(total, values, failures)

    def _judge_words(
        self, prompts: Sequence[Any], completions: Sequence[str], rows: Sequence[Mapping[str, Any]]
    ) -> dict[str, list[Outcome]]:
        names = [name for name, function in self.functions.items() if not _judges_tokens(function)]
        calls = [
            partial(self._call, self.functions[name], *answer)
            for name in names
            for answer in zip(prompts, completions, rows)
        ]
        outcomes = [self._settled(outcome) for outcome in in_parallel(calls, self.timeout, self.workers)]
        return {name: outcomes[i * len(prompts) : (i + 1) * len(prompts)] for i, name in enumerate(names)}

    def _judge_tokens(self, texts: Texts | None, count: int) -> dict[str, list[Outcome]]:
        judged = {}
        for name, function in self.functions.items():
            if not _judges_tokens(function):
                continue
            if texts is None:
                raise ValueError(f"the reward {name!r} judges tokens: pass them, as rewards(..., texts=texts).")
            values = np.asarray(function(texts), float)
            if values.shape != (count,):
                raise ValueError(f"the reward {name!r} gave numbers of shape {values.shape}: it must be ({count},).")
            judged[name] = [self._settled(_sound(value)) for value in values.tolist()]
        return judged

    def _call(self, function: Function, prompt: Any, completion: str, row: Mapping[str, Any]) -> float:
        return settled_number(function(prompt, completion, row), self._loop, self.timeout)

    def _settled(self, outcome: Outcome) -> Outcome:
        return outcome if outcome.error is None else outcome._replace(value=self.failed)

    def _complain(self, name: str, outcomes: Sequence[Outcome]) -> None:
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        if errors and self.complaint is None:
            what = f"{type(errors[0]).__name__}: {errors[0]}"
            self.complaint = (
                f"the reward {name!r} failed for {len(errors)} of {len(outcomes)} answers, first with {what}"
            )


def settled_number(value: Any, loop: Loop, timeout: float) -> float:
    """A finite number that was given at once, or is awaited. Raises as `number` does, and TimeoutError."""
    if not isinstance(value, float | int) and inspect.isawaitable(value):
        value = loop.settle(value, timeout)
    return number(value)


def number(value: Any) -> float:
    """A finite number, of Python, NumPy or JAX, as a float. TypeError or ValueError for anything else."""
    if not isinstance(value, numbers.Real):
        array = np.asarray(value)
        if array.ndim or array.dtype.kind not in "biuf":
            raise TypeError(f"it gave {value!r}, which is no number")
        value = array
    if not math.isfinite(value):
        raise ValueError(f"it gave {value}, which is not finite")
    return float(value)


def _sound(value: float) -> Outcome:
    try:
        return Outcome(number(value), None)
    except ValueError as error:
        return Outcome(None, error)


def _judges_tokens(function: Any) -> bool:
    return bool(getattr(function, "judges_tokens", False))


def _part(name: str, part: Any) -> tuple[Function, float]:
    """A part as it was given -> function, weight."""
    function, weight = part if isinstance(part, tuple) and len(part) == 2 else (part, 1.0)
    function = find_reward(function) if isinstance(function, str) else function
    if not callable(function):
        raise TypeError(f"Rewards.parts[{name!r}] = {part!r}: give a function, its name, or (function, weight).")
    if isinstance(weight, bool) or not isinstance(weight, numbers.Real) or not math.isfinite(weight):
        raise ValueError(f"Rewards.parts[{name!r}] has the weight {weight!r}: it must be a finite number.")
    if not _judges_tokens(function):
        try:
            inspect.signature(function).bind("prompt", "completion", {})
        except TypeError as error:
            raise TypeError(f"Rewards.parts[{name!r}]: it must take (prompt, completion, row): {error}.") from error
        except ValueError:
            pass  # written in C: nobody knows
    return function, float(weight)


__all__ = [
    "EnsembleReward",
    "ModelReward",
    "Rewarded",
    "Rewards",
    "UnknownReward",
    "find_reward",
    "number",
    "settled_number",
]
