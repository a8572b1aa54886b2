"""Rows as tokens, and which of the tokens are to be learned.

A prompt is tokenised by itself, as it will be when it is answered; an answer ends with the token that stops. Of a
conversation, the assistant's turns are learned, each up to the token that ends it: what a template writes behind that
token nobody writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bellmax.language.chat import Chat, Piece
from bellmax.language.rows import place_of
from bellmax.language.tokeniser import Tokeniser


class Document(NamedTuple):
    """What a model reads in one go."""

    tokens: np.ndarray  # [time]
    weight: np.ndarray  # [time]: 1 on tokens that are to be learned; 0 on the first, which nothing comes before
    prompt: int  # tokens before the first answer


class Preferred(NamedTuple):
    """Two answers to a prompt."""

    chosen: Document
    rejected: Document
    margin: float


class Judged(NamedTuple):
    """An answer and what was said about it."""

    document: Document
    label: Any  # [] of the whole answer; or [time] of the steps that end where the weight is 1


Rows = Sequence[Mapping[str, Any]]


def examples(rows: Rows, tokeniser: Tokeniser) -> list[Document]:
    """What to learn from each row: one document, or one for each turn where templates want it (`Chat.pieces`)."""
    return [document for several in _each(rows, _documents, tokeniser) for document in several]


def preferences(rows: Rows, tokeniser: Tokeniser) -> list[Preferred]:
    """Both answers of each row."""
    chosen, rejected = (_each(rows, _one, tokeniser, name) for name in ("chosen", "rejected"))
    margins = [row.get("margin") or 0.0 for row in rows]
    return [Preferred(*pair) for pair in zip(chosen, rejected, margins)]


def labelled(rows: Rows, tokeniser: Tokeniser) -> list[Judged]:
    """The answer of each row, and whether it is good."""
    return [
        Judged(document, np.float32(row["label"]))
        for document, row in zip(_each(rows, _one, tokeniser, "completion"), rows)
    ]


def steps(rows: Rows, tokeniser: Tokeniser, separator: str = "\n") -> list[Judged]:
    """The steps of each row, `separator` behind each; its last token is where the step is judged."""
    return _each(rows, _steps, tokeniser, separator)


def prompts(rows: Rows, tokeniser: Tokeniser) -> list[tuple[list[int], str]]:
    """The prompt of each row, up to where the answer begins: tokens, text."""
    return _each(rows, _prompt, tokeniser)


def prompt_of(tokeniser: Tokeniser, row: Mapping[str, Any]) -> tuple[list[int], str]:
    """The tokens of a row's prompt, up to where the answer begins, and their text. ValueError for an empty one."""
    return _placed(row, None, _prompt, tokeniser)


def _each(rows: Rows, make: Callable[..., Any], *rest: Any) -> list[Any]:
    """make(row, ...) of each row."""
    return [_placed(row, number, make, *rest) for number, row in enumerate(rows, 1)]


def _placed(row: Mapping[str, Any], number: int | None, make: Callable[..., Any], *rest: Any) -> Any:
    """make(row, ...), whose error says which row it is."""
    try:
        return make(row, *rest)
    except ValueError as error:
        raise ValueError(f"{place_of(row, number)}: {error}") from error


def _documents(row: Mapping[str, Any], tokeniser: Tokeniser) -> list[Document]:
    if row.get("messages") is None:
        return [_one(row, tokeniser, "completion")]
    lists = _chat(tokeniser).pieces(row["messages"], **_variables(row))
    return [_document(pieces, tokeniser) for pieces in lists]


def _one(row: Mapping[str, Any], tokeniser: Tokeniser, answer: str) -> Document:
    """The prompt and one of its answers."""
    if isinstance(row["prompt"], str):
        return _document([Piece(row["prompt"], False), Piece(row[answer], True)], tokeniser, begin=True)
    messages = [*row["prompt"], *row[answer]]
    lists = _chat(tokeniser).pieces(messages, first=len(row["prompt"]), **_variables(row))
    if len(lists) > 1:
        raise ValueError(f"the chat template writes the turns of its {answer} anew; give an answer of one turn.")
    return _document(lists[0], tokeniser)


def _prompt(row: Mapping[str, Any], tokeniser: Tokeniser) -> tuple[list[int], str]:
    plain = isinstance(row["prompt"], str)
    text = row["prompt"] if plain else _chat(tokeniser).render(row["prompt"], generate=True, **_variables(row))
    tokens = tokeniser.encode(text, begin=plain)
    if not tokens:
        raise ValueError("its prompt is empty, and the tokeniser puts no token before it.")
    return tokens, text


def _chat(tokeniser: Tokeniser) -> Chat:
    if tokeniser.chat is None:
        raise ValueError("it has messages, and the tokeniser has no chat template; give text, or a template.")
    return tokeniser.chat


def _variables(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a template knows beside the messages, as TRL names the columns."""
    tools = row.get("tools")
    return ({} if tools is None else {"tools": tools}) | (row.get("chat_template_kwargs") or {})


def _document(pieces: Sequence[Piece], tokeniser: Tokeniser, begin: bool = False) -> Document:
    """Pieces, of which the last is learned, tokenised one behind the other, with one end."""
    tokens: list[int] = []
    weight: list[int] = []
    seen, learned, new = "", 0, [0]
    for piece in pieces:
        new = _behind(tokeniser, tokens, seen, piece.text, begin)
        learned = _length(tokeniser, new) if piece.learned else 0
        tokens, seen = tokens + new, seen + piece.text
        weight += [1] * learned + [0] * (len(new) - learned)
    behind = len(new) - learned
    tokens, weight = tokens[: len(tokens) - behind], weight[: len(weight) - behind]
    if not learned or tokens[-1] not in tokeniser.stops:
        tokens, weight = [*tokens, tokeniser.end], [*weight, 1]
    if len(tokens) < 2:
        raise ValueError("there is nothing to learn: prompt and answer are empty.")
    prompt, weight[0] = weight.index(1), 0
    return Document(np.array(tokens, np.int32), np.array(weight, np.float32), prompt)


def _length(tokeniser: Tokeniser, answer: list[int]) -> int:
    """Tokens of an answer, without the white space that a template writes behind its end."""
    ends = [number for number, token in enumerate(answer, 1) if token in tokeniser.stops]
    blank = ends and not tokeniser.decode(answer[ends[-1] :], special=True).strip()
    return ends[-1] if blank else len(answer)


def _behind(tokeniser: Tokeniser, tokens: list[int], seen: str, text: str, begin: bool) -> list[int]:
    """The tokens of `text` behind those of the text seen.

    As the tokeniser writes them in the whole, unless one of its tokens would reach over the border: then `text` is
    tokenised by itself.
    """
    whole = tokeniser.encode(seen + text, begin=begin)
    if whole[: len(tokens)] == tokens:
        return whole[len(tokens) :]
    return tokeniser.encode(text)


def _steps(row: Mapping[str, Any], tokeniser: Tokeniser, separator: str) -> Judged:
    tokens, _ = _prompt(row, tokeniser)
    prompt = len(tokens)
    weight, label = [0.0] * prompt, [0.0] * prompt
    for text, good in zip(row["completions"], row["labels"]):
        new = tokeniser.encode(text) + tokeniser.encode(separator)
        if not new:
            raise ValueError("the tokeniser makes no token of one of its steps; give a separator.")
        tokens = tokens + new
        weight += [0.0] * (len(new) - 1) + [1.0]
        label += [0.0] * (len(new) - 1) + [float(good)]
    document = Document(np.array(tokens, np.int32), np.array(weight, np.float32), prompt)
    return Judged(document, np.array(label, np.float32))
