"""Copy, reverse and sort: the smallest tasks that need attention."""

from __future__ import annotations

from random import Random

from bellmax.language.tasks.task import Row, Task
from bellmax.ranges import Count


class Copy(Task):
    """Write the same again: "hjab=" -> "hjab"."""

    length: Count = 8
    symbols: str = "abcdefghij"

    @property
    def symbols_used(self) -> str:
        return self.symbols

    def draw(self, random: Random) -> Row:
        question = "".join(random.choices(self.symbols, k=self.length))
        return {"question": question, "answer": question}


class Reverse(Task):
    """Write it backwards: "hjab=" -> "bajh"."""

    length: Count = 8
    symbols: str = "abcdefghij"

    @property
    def symbols_used(self) -> str:
        return self.symbols

    def draw(self, random: Random) -> Row:
        question = "".join(random.choices(self.symbols, k=self.length))
        return {"question": question, "answer": question[::-1]}


class Sort(Task):
    """Write it in the order of `symbols`: "707132=" -> "012377"."""

    length: Count = 6
    symbols: str = "0123456789"

    @property
    def symbols_used(self) -> str:
        return self.symbols

    def draw(self, random: Random) -> Row:
        question = random.choices(self.symbols, k=self.length)
        return {"question": "".join(question), "answer": "".join(sorted(question, key=self.symbols.index))}
