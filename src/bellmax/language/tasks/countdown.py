"""Countdown: reach a number from others; many answers are right."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Any

from bellmax.language.tasks.task import Row, Task, column
from bellmax.ranges import Count

LONGEST = 200  # characters of an expression; longer ones are refused before they are parsed
LEGAL_SHARE = 0.1  # partial credit of an expression that keeps the rules and misses the target (as in TinyZero)

_WRITTEN = re.compile(r"[0-9+\-*/() ]+")
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


class Countdown(Task):
    """Reach a target with + - * /, each number used at most once: "3 5 7>22=" -> "(3*5)+7".

    numbers  how many are given
    largest  the largest that may be given
    target   the largest that may be asked for
    """

    numbers: Count = 3
    largest: Count = 10
    target: Count = 50

    @property
    def symbols_used(self) -> str:
        return " 0123456789+-*/()>"

    @property
    def answer_symbols(self) -> str:
        return "0123456789+-*/"

    def draw(self, random: Random) -> Row:
        while True:
            numbers = [random.randint(1, self.largest) for _ in range(self.numbers)]
            found = _reached(numbers, random)
            if found is None or not 0 < found[0] <= self.target:
                continue
            target, text = found
            if len(numbers) == 1 or target not in numbers:  # else the number by itself would be an answer
                question = f"{' '.join(map(str, numbers))}>{target}"
                return {"question": question, "answer": text, "numbers": numbers, "target": target}

    def score(self, answer: str, row: Mapping[str, Any]) -> float:
        """1 if the expression keeps the rules and is the target; nothing is run, only read."""
        value = evaluated(answer, column(row, "numbers"))
        if value is None:
            return 0.0
        if value == column(row, "target"):
            return 1.0
        return LEGAL_SHARE if self.partial_credit else 0.0


def evaluated(expression: str, numbers: Sequence[int]) -> Fraction | None:
    """The exact value of an expression over these numbers, each used at most once; None if it breaks a rule."""
    if len(expression) > LONGEST or not _WRITTEN.fullmatch(expression):
        return None
    try:
        tree = ast.parse(expression, mode="eval").body
        used = Counter(node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        return None if used - Counter(numbers) else _value(tree)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None


def _value(node: ast.AST) -> Fraction:
    """Of a tree of binary + - * / over whole numbers; ValueError for anything else."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Fraction(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        return _apply(_SIGNS[type(node.op)], _value(node.left), _value(node.right))
    raise ValueError(ast.dump(node))


def _apply(sign: str, left: Fraction, right: Fraction) -> Fraction:
    if sign == "/":
        return left / right
    return {"+": left + right, "-": left - right, "*": left * right}[sign]


def _reached(numbers: Sequence[int], random: Random) -> tuple[int, str] | None:
    """Put all numbers together by chance -> value, expression; None where something is no whole number."""
    pool = [(Fraction(number), str(number)) for number in numbers]
    while len(pool) > 1:
        random.shuffle(pool)
        (left, before), (right, behind) = pool.pop(), pool.pop()
        sign = random.choice("+-*/")
        if sign == "/" and (right == 0 or (left / right).denominator > 1):
            return None
        pool.append((_apply(sign, left, right), f"({before}{sign}{behind})"))
    value, text = pool[0]
    return int(value), text[1:-1] if text.startswith("(") else text
