"""The form of an answer, whatever it says."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from bellmax.language.extraction import WAYS, Extraction, tagged
from bellmax.language.tasks.task import Row, Task, corrupted, spoil
from bellmax.ranges import Count


class AnswerFormat(Task):
    """Put it into tags: "bca=" -> "<answer>bca</answer>". What stands in the tags is not looked at."""

    extraction: Extraction = "tags"
    length: Count = 4
    symbols: str = "abcdefghij"

    def __post_init__(self) -> None:
        Task.__post_init__(self)
        if self.extraction != "tags":
            raise ValueError(f"AnswerFormat.extraction = {self.extraction!r}: this task is about tags; leave it out.")

    @property
    def symbols_used(self) -> str:
        return self.symbols

    def draw(self, random: Random) -> Row:
        question = "".join(random.choices(self.symbols, k=self.length))
        return {"question": question, "answer": question}

    def score(self, answer: str, row: Mapping[str, Any]) -> float:
        return 1.0

    def reward(self, prompt: str, completion: str, row: Mapping[str, Any]) -> float:
        """1 for exactly one pair of tags with something in it and nothing behind it."""
        return format_reward(prompt, completion, row)

    def _spoilt(self, row: Row, random: Random) -> str:
        symbols = self.symbols + "".join(WAYS["tags"])
        return spoil(lambda: corrupted(self.told(row), random, symbols), self, row)


def format_reward(prompt: str, completion: str, row: Mapping[str, Any]) -> float:
    """1 if the completion gives an answer in <answer></answer>, strictly; whatever the answer is."""
    return 0.0 if tagged(completion) is None else 1.0
