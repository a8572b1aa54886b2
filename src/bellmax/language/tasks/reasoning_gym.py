"""Tasks of the package reasoning-gym (Stojanovski et al., 2025), https://github.com/open-thought/reasoning-gym."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from bellmax.language.extraction import EXTRACTIONS, WAYS, Extraction
from bellmax.language.tasks.task import HELD_OUT, Row, column, corrupted, divided, spoil

SAMPLED = 64  # rows that the alphabet is read from


class ReasoningGym:
    """A data set of reasoning-gym with the interface of a `Task`.

    Where a data set has no answer that its own scoring takes for right (such as "rubiks_cube"), rows have no
    `completion`, and there are no preferences.

    name            as in `reasoning_gym.factory.DATASETS`, such as "leg_counting"
    template        what is asked; {} stands for the data set's question
    extraction      how the answer must be given, as in `Task`
    partial_credit  pay what the data set's own scoring says; otherwise 1 for its full score and 0 for all others
    config          the data set's own options, but for seed and size

    ImportError says how to install the package; ValueError names a data set or an option that is not there.
    """

    def __init__(
        self,
        name: str,
        *,
        template: str = "{}\nGive the final answer in <answer></answer>.",
        extraction: Extraction = "tags",
        partial_credit: bool = False,
        **config: Any,
    ):
        if template.count("{}") != 1:
            raise ValueError(f"ReasoningGym.template = {template!r}: it must hold {{}} once, where the question goes.")
        if extraction not in EXTRACTIONS:
            raise ValueError(f"ReasoningGym.extraction = {extraction!r}: give one of {', '.join(EXTRACTIONS)}.")
        self.name, self.template, self.extraction = name, template, extraction
        self.partial_credit, self.config = partial_credit, config
        self._judge = self._made(seed=0, size=1)

    def __repr__(self) -> str:
        return f"ReasoningGym({self.name!r})"

    @property
    def alphabet(self) -> str:
        """The characters of some rows, in order; others may hold more."""
        return "".join(sorted({c for row in self.rows(0, SAMPLED) for c in row["prompt"] + row.get("completion", "")}))

    def rows(self, seed: int, count: int, held_out: bool = False) -> list[Row]:
        """As `Task.rows`; the columns are `answer` and `entry`, which the data set's scoring reads."""
        return divided(self._drawn(seed, 32 * (count + HELD_OUT)), count, held_out, f"ReasoningGym({self.name!r})")

    def reward(self, prompt: str, completion: str, row: Mapping[str, Any]) -> float:
        """1 for an answer that the data set gives its full score, given exactly as asked."""
        answer = EXTRACTIONS[self.extraction](completion)
        if answer is None:
            return 0.0
        score = float(self._judge.score_answer(answer=answer, entry=column(row, "entry")))
        return score if self.partial_credit or score >= 1 else 0.0

    def preferences(self, seed: int, count: int, held_out: bool = False) -> list[Row]:
        """As `Task.preferences`."""
        random, rows = Random(f"preferences {seed}"), self.rows(seed, count, held_out)
        if any("completion" not in row for row in rows):
            raise ValueError(f"reasoning-gym's {self.name} has no right answers to prefer: it can only be rewarded.")
        return [
            {"prompt": row["prompt"], "chosen": row.pop("completion"), "rejected": self._spoilt(row, random)} | row
            for row in rows
        ]

    def _spoilt(self, row: Row, random: Random) -> str:
        symbols = row["answer"] + "0123456789"
        return spoil(lambda: self._told(corrupted(row["answer"], random, symbols)), self, row)

    def _told(self, answer: str) -> str:
        before, behind = WAYS[self.extraction]
        return f"{before}{answer}{behind}"

    def _drawn(self, seed: int, most: int) -> Iterator[Row]:
        spread = hashlib.blake2b(str(seed).encode(), digest_size=4).digest()  # the package adds seed and index
        entries = self._made(seed=int.from_bytes(spread) // 2, size=most)
        for index in range(most):
            entry = dict(entries[index])
            row = {"prompt": self.template.replace("{}", entry["question"]), "answer": entry["answer"], "entry": entry}
            told = self._told(str(entry["answer"]))
            yield row | {"completion": told} if self.reward(row["prompt"], told, row) >= 1 else row

    def _made(self, **more: int) -> Any:
        try:
            from reasoning_gym.factory import DATASETS, create_dataset
        except ImportError as error:
            raise ImportError(
                f'ReasoningGym({self.name!r}) needs reasoning-gym ({error}): pip install "bellmax[reasoning]"'
            ) from error
        if self.name not in DATASETS:
            near = difflib.get_close_matches(self.name, DATASETS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(DATASETS))}."
            raise ValueError(f"reasoning-gym has no data set {self.name!r}: {hint}")
        try:
            return create_dataset(self.name, **self.config | more)
        except (TypeError, AssertionError) as error:
            raise ValueError(
                f"ReasoningGym({self.name!r}): its options {self.config} are not right: {error}"
            ) from error
