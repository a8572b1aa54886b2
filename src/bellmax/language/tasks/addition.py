"""Addition: the smallest task that needs a carry."""

from __future__ import annotations

from random import Random

from bellmax.language.tasks.task import Row, Task
from bellmax.ranges import Count


class Addition(Task):
    """Add two numbers of at most `digits` digits: "47+8=" -> "55"."""

    digits: Count = 2

    @property
    def symbols_used(self) -> str:
        return "+0123456789"

    @property
    def answer_symbols(self) -> str:
        return "0123456789"

    def draw(self, random: Random) -> Row:
        one, other = random.randrange(10**self.digits), random.randrange(10**self.digits)
        return {"question": f"{one}+{other}", "answer": str(one + other)}
