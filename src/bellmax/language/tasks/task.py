"""A task: prompts without end, right answers to them, and a verifier."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from bellmax.core import Frozen
from bellmax.language.extraction import EXTRACTIONS, WAYS, Extraction

Row = dict[str, Any]

HELD_OUT = 8  # one prompt in so many is held out
REPEATS = 30  # known prompts in a row before one is taken again
PATIENCE = 1_000  # prompts drawn in vain before a task is called too small


class Task(Frozen):
    """Prompts that are drawn by chance, and answers that can be checked.

    A row has a `prompt`, a `completion` (a right one) and, as further columns, what the verifier needs. A subclass has
    `draw` and, where right answers are not all alike, `score`.

    template        what is asked; {} stands for the question
    extraction      how the answer must be given: alone ("whole"), in <answer></answer> ("tags"), in \\boxed{}, behind
                    ####, or as the last number; see `bellmax.language.extraction`
    partial_credit  pay a part for what is nearly right; otherwise 1 for right answers and 0 for all others
    """

    template: str = "{}="
    extraction: Extraction = "whole"
    partial_credit: bool = False

    def __post_init__(self) -> None:
        Frozen.__post_init__(self)
        if self.template.count("{}") != 1:
            kind = type(self).__name__
            raise ValueError(f"{kind}.template = {self.template!r}: it must hold {{}} once, where the question goes.")

    @property
    def symbols_used(self) -> str:
        """The characters of questions and answers."""
        raise NotImplementedError

    @property
    def answer_symbols(self) -> str:
        """The characters that answers may be spoilt with."""
        return self.symbols_used

    def draw(self, random: Random) -> Row:
        """One row, with `question` and `answer` in place of prompt and completion."""
        raise NotImplementedError

    def score(self, answer: str, row: Mapping[str, Any]) -> float:
        """What an answer that was given as asked is worth, from 0 to 1."""
        right = column(row, "answer")
        if answer == right:
            return 1.0
        return agreement(answer, right) if self.partial_credit else 0.0

    @property
    def alphabet(self) -> str:
        """All characters that prompts and right answers are made of, in order, each once."""
        before, behind = WAYS[self.extraction]
        return "".join(sorted(set(self.symbols_used + self.template.replace("{}", "") + before + behind)))

    def rows(self, seed: int, count: int, held_out: bool = False) -> list[Row]:
        """`count` rows, a pure function of the seed; more of them begin with the same ones.

        Each prompt is held out or not, whatever the seed, so that rows to train on never meet those to evaluate on. No
        prompt comes twice until others become rare. ValueError where a task is too small to hold any prompt out.
        """

        def drawn() -> Iterator[Row]:
            random = Random(f"rows {seed}")
            while True:
                row = self.draw(random)
                yield {"prompt": self.template.replace("{}", row.pop("question")), "completion": self.told(row)} | row

        return divided(drawn(), count, held_out, type(self).__name__)

    def told(self, row: Mapping[str, Any]) -> str:
        """The row's answer, given as asked."""
        before, behind = WAYS[self.extraction]
        return f"{before}{row['answer']}{behind}"

    def reward(self, prompt: str, completion: str, row: Mapping[str, Any]) -> float:
        """1 for a right answer, given exactly as asked."""
        answer = EXTRACTIONS[self.extraction](completion)
        return 0.0 if answer is None else self.score(answer, row)

    def preferences(self, seed: int, count: int, held_out: bool = False) -> list[Row]:
        """Rows with `prompt`, `chosen` (a right answer) and `rejected` (the same one, spoilt)."""
        random = Random(f"preferences {seed}")
        return [
            {"prompt": row["prompt"], "chosen": row.pop("completion"), "rejected": self._spoilt(row, random)} | row
            for row in self.rows(seed, count, held_out)
        ]

    def _spoilt(self, row: Row, random: Random) -> str:
        return spoil(
            lambda: self.told(row | {"answer": corrupted(row["answer"], random, self.answer_symbols)}), self, row
        )


def spoil(attempt: Callable[[], str], task: Any, row: Row) -> str:
    """The first attempt that is worth less than a right answer. ValueError where none is."""
    for _ in range(PATIENCE):
        text = attempt()
        if task.reward(row["prompt"], text, row) < 1:
            return text
    raise ValueError(f"{task}: no wrong answer to {row['prompt']!r} was found; give it more symbols.")


def corrupted(text: str, random: Random, symbols: str) -> str:
    """The text with one thing wrong: a character changed, left out, put in, or two neighbours swapped."""
    place, symbol = random.randrange(len(text)), random.choice(symbols)
    ways = [text[:place] + symbol + text[place + 1 :], text[:place] + symbol + text[place:]]
    if len(text) > 1:
        ways.append(text[:place] + text[place + 1 :])
    if place + 1 < len(text):
        ways.append(text[:place] + text[place + 1] + text[place] + text[place + 2 :])
    return random.choice(ways)


def divided(drawn: Iterator[Row], count: int, held_out: bool, name: str) -> list[Row]:
    """The first `count` rows on one side of the split; prompts come again only where new ones are rare."""
    rows: list[Row] = []
    known: set[str] = set()
    vain = repeats = 0
    for row in drawn:
        if len(rows) == count:
            return rows
        vain += 1
        if is_held_out(row["prompt"]) == held_out:
            repeats = repeats + 1 if row["prompt"] in known else 0
            if repeats in (0, REPEATS):
                rows.append(row)
                known.add(row["prompt"])
                vain = repeats = 0
        if vain > PATIENCE:
            break
    if len(rows) == count:
        return rows
    kind = "to hold out" if held_out else "to train on"
    raise ValueError(f"{name}: it has too few prompts, and none {kind}: give it larger sizes.")


def is_held_out(prompt: str) -> bool:
    """Does this prompt belong to those that are never trained on?"""
    return hashlib.blake2b(prompt.encode(), digest_size=8).digest()[0] % HELD_OUT == 0


def agreement(given: str, right: str) -> float:
    """The share of places that agree, of as many as the longer text has."""
    return sum(a == b for a, b in zip(given, right)) / max(len(given), len(right))


def column(row: Mapping[str, Any], name: str) -> Any:
    """What a row says there; ValueError where it says nothing."""
    if name not in row:
        raise ValueError(f"the row has no column {name!r}, which the task's verifier needs; it has {', '.join(row)}.")
    return row[name]
