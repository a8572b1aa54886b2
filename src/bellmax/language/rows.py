"""Rows of data for language models, in the conventions of the field, checked before anything is learned from them.

    examples      messages; prompt and completion; or text
    preferences   prompt, chosen and rejected, perhaps margin; or chosen and rejected as whole conversations
    labelled      prompt, completion and label, whether it is good
    steps         prompt, completions (the steps) and labels (is each right?)
    prompts       prompt

Other columns are kept: reward functions may read them. A prompt and its answers are text or lists of messages.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, Literal, get_args

from bellmax.language.tables import Record, Source, records

Kind = Literal["examples", "preferences", "labelled", "steps", "prompts"]
Columns = dict[str, Any]


class Row(dict[str, Any]):
    """The columns of a row that was checked, and where it is from. What the convention leaves open is filled in."""

    def __init__(self, columns: Mapping[str, Any], place: str):
        dict.__init__(self, columns)
        self.place = place  # "data.jsonl line 3"


def place_of(row: Mapping[str, Any], number: int | None = None) -> str:
    """Where a row is from; plain dicts are told by their number, from 1, if it is known."""
    return row.place if isinstance(row, Row) else "the row" if number is None else f"row {number}"


def read_rows(source: Source, kind: Kind) -> list[Row]:
    """The rows of a .jsonl, .json or .parquet file, or of a list of dicts, for learners that eat `kind`.

    One ValueError names the first row that is bad, says why, and counts them all.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind = {kind!r}: give {', '.join(get_args(Kind))}.")
    rows, problems = [], []
    for record in records(source):
        try:
            rows.append(Row(checked(_columns(record), kind), record.place))
        except ValueError as error:
            problems.append(f"{record.place}: {error}")
    count = len(rows) + len(problems)
    if problems:
        raise ValueError(f"{problems[0]} ({len(problems)} of {count} rows cannot be used as {kind}.)")
    if not rows:
        raise ValueError(f"{source if not isinstance(source, list) else 'rows'}: there is not one row.")
    return rows


def _columns(record: Record) -> Columns:
    if record.problem is not None:
        raise ValueError(f"it {record.problem}.")
    if not isinstance(record.value, Mapping):
        raise ValueError(f"a row must have named columns, and this is {_what(record.value)}.")
    return dict(record.value)


def checked(columns: Columns, kind: Kind) -> Columns:
    """The columns of a good row; ValueError says what is wrong with a bad one.

    In what is returned there is a prompt (but beside messages), and answers are messages if the prompt is.
    """
    there = {name for name, value in columns.items() if value is not None}
    if kind == "examples" and "messages" in there:
        messages = _conversation(columns, "messages")
        if not any(message["role"] == "assistant" for message in messages):
            raise ValueError("its messages hold no turn of the assistant: there is nothing to learn.")
        return columns | {"messages": messages}
    if kind == "examples" and "text" in there and not there & {"prompt", "completion"}:
        columns = columns | {"prompt": "", "completion": columns["text"]}
    if kind == "preferences" and not isinstance(columns.get("prompt"), list) and there >= {"chosen", "rejected"}:
        columns = _with_prompt(columns)
    answers = {"examples": ["completion"], "preferences": ["chosen", "rejected"], "labelled": ["completion"]}
    prompt = _text_or_conversation(columns, "prompt")
    found = {name: _answer(columns, name, prompt) for name in answers.get(kind, [])}
    return columns | {"prompt": prompt} | found | _judgement(columns, kind)


def _with_prompt(columns: Columns) -> Columns:
    """The prompt is what two conversations begin with, if nobody says otherwise."""
    chosen, rejected = columns["chosen"], columns["rejected"]
    if isinstance(chosen, list) and isinstance(rejected, list):  # a prompt that is text then says less than they do
        shared = next((n for n, pair in enumerate(zip(chosen, rejected)) if pair[0] != pair[1]), None)
    elif columns.get("prompt") is None and isinstance(chosen, str) and isinstance(rejected, str):
        alike = next((n for n, pair in enumerate(zip(chosen, rejected)) if pair[0] != pair[1]), 0)
        shared = max(chosen.rfind(" ", 0, alike), chosen.rfind("\n", 0, alike) + 1)  # words are not cut
    else:
        return columns
    if not shared:
        raise ValueError("chosen and rejected do not begin alike and go on differently; give the prompt in a column.")
    return columns | {"prompt": chosen[:shared], "chosen": chosen[shared:], "rejected": rejected[shared:]}


def _judgement(columns: Columns, kind: Kind) -> Columns:
    """The columns that say how good the answers are."""
    if kind == "preferences":
        margin = 0.0 if columns.get("margin") is None else columns["margin"]
        if isinstance(margin, bool) or not isinstance(margin, numbers.Real) or not math.isfinite(margin):
            raise ValueError(f"margin = {margin!r}: give a number.")
        return {"margin": float(margin)}
    if kind == "labelled":
        return {"label": _label("label", _column(columns, "label"))}
    if kind == "steps":
        steps, labels = _column(columns, "completions"), _column(columns, "labels")
        if not isinstance(steps, list) or not steps or not all(isinstance(step, str) and step for step in steps):
            raise ValueError("completions: give a list of steps, each a text that is not empty.")
        if not isinstance(labels, list) or len(labels) != len(steps):
            raise ValueError(f"labels: give a list of true or false, one for each of the {len(steps)} completions.")
        return {"labels": [_label("labels", label) for label in labels]}
    return {}


def _label(name: str, value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError(f"{name}: give true or false, not {value!r}.")
    return bool(value)


def _column(columns: Columns, name: str) -> Any:
    value = columns.get(name)
    if value is None:
        there = ", ".join(key for key, x in columns.items() if x is not None)
        raise ValueError(f"it has no {name!r}; it has {there or 'no columns'}.")
    return value


def _text_or_conversation(columns: Columns, name: str) -> Any:
    value = _column(columns, name)
    return value if isinstance(value, str) else _conversation(columns, name)


def _answer(columns: Columns, name: str, prompt: Any) -> Any:
    """An answer, as messages if the prompt is."""
    answer = _text_or_conversation(columns, name)
    if isinstance(prompt, str) and not isinstance(answer, str):
        raise ValueError(f"its prompt is text and its {name} is messages; give both in the same way.")
    if isinstance(prompt, list) and isinstance(answer, str):
        return [{"role": "assistant", "content": answer}]
    if isinstance(prompt, list) and answer[0]["role"] != "assistant":
        raise ValueError(f"its {name} begins with the {answer[0]['role']}; an answer begins with the assistant.")
    return answer


def _conversation(columns: Columns, name: str) -> list[Columns]:
    value = _column(columns, name)
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name}: give text or a list of messages, not {_what(value)}.")
    return [_message(message, f"{name}, message {number}") for number, message in enumerate(value, 1)]


def _message(message: Any, name: str) -> Columns:
    """A message without the keys that say nothing: Parquet gives every message the keys of all."""
    if not isinstance(message, Mapping):
        raise ValueError(f"{name}: give role and content, not {_what(message)}.")
    said = {key: value for key, value in message.items() if value is not None}
    if not isinstance(said.get("role"), str):
        raise ValueError(f"{name}: its role must be text, such as 'user'; it is {_what(message.get('role'))}.")
    if "content" not in said and said.get("tool_calls"):
        return said | {"content": ""}
    if not isinstance(said.get("content"), str):
        raise ValueError(f"{name}: its content must be text; it is {_what(message.get('content'))}.")
    return said


def _what(value: Any) -> str:
    if value is None:
        return "missing"
    kind = f"{'empty ' if value in ({}, [], '') else ''}{type(value).__name__}"
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
