"""Documents to batches, in NumPy, and which of them a batch is made of.

Rows are padded to a multiple of 8 tokens, long ones of 32, so that few shapes are compiled. A document that is too long
loses its beginning: the end of the answer stays.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bellmax.language.encoding import Document, Judged, Preferred
from bellmax.language.rows import place_of
from bellmax.language.sampler import Prompts
from bellmax.language.texts import Labelled, Pairs, Texts

MULTIPLE, LONG_MULTIPLE = 8, 32
LONG = 64  # tokens


def texts(documents: Sequence[Document], length: int) -> Texts:
    """A document a row, padded on the right to at most `length` tokens."""
    kept = [_end(document, length) for document in documents]
    return _fill([[document] for document in kept], _width(kept, length))


def packed(rows: Sequence[Sequence[Document]], length: int) -> Texts:
    """Several documents a row, as `pack` put them together; always [rows, length], so that one shape is compiled."""
    kept = [[_end(document, length) for document in row] for row in rows]
    return _fill(kept, length)


def pack(sizes: Sequence[int], length: int) -> list[tuple[int, ...]]:
    """Which documents, of so many tokens each, share a row of `length`: best-fit decreasing.

    The largest first, each into the row that it leaves the least room in; a document that is too long has a row of its
    own. A pure function: documents of the same size go in their order.
    """
    room: dict[int, list[int]] = {}  # how much room is left -> rows
    spaces: list[int] = []  # the keys of `room`, in order
    rows: list[list[int]] = []
    for number in sorted(range(len(sizes)), key=lambda number: -sizes[number]):
        size = min(sizes[number], length)
        place = bisect.bisect_left(spaces, size)
        if place == len(spaces):
            rows.append([])
            row, left = len(rows) - 1, length
        else:
            left = spaces[place]
            row = room[left].pop()
            if not room[left]:
                del room[left], spaces[place]
        rows[row].append(number)
        if left - size not in room:
            bisect.insort(spaces, left - size)
        room.setdefault(left - size, []).append(row)
    return [tuple(row) for row in rows]


def pairs(preferred: Sequence[Preferred], length: int) -> Pairs:
    """Both answers, each behind the same part of the prompt; the two batches have the same shape."""
    kept = [_ends(pair, length) for pair in preferred]
    width = _width([document for pair in kept for document in pair], length)
    chosen, rejected = (_fill([[pair[side]] for pair in kept], width) for side in (0, 1))
    margin: Any = np.array([pair.margin for pair in preferred], np.float32)
    return Pairs(chosen, rejected, margin)


def labelled(judged: Sequence[Judged], length: int) -> Labelled:
    """Answers and their labels, [batch]."""
    label: Any = np.array([each.label for each in judged], np.float32)
    return Labelled(texts([each.document for each in judged], length), label)


def mismatched(judged: Sequence[Judged], length: int) -> Texts:
    """Each prompt with the answer of the row before it (the last, for the first): what KTO compares with.

    If that row has the same prompt, it is the next one before it that has another, if there is one. ValueError for a
    batch of one.
    """
    if len(judged) < 2:
        raise ValueError(f"batch = {len(judged)}: KTO compares rows with each other; give at least 2.")
    documents = [each.document for each in judged]
    return texts([_with_answer(document, _other(documents, row)) for row, document in enumerate(documents)], length)


def steps(judged: Sequence[Judged], length: int) -> Labelled:
    """Steps and their labels, [batch, time]: where the weight is 1, a step ends, and the label says if it is right."""
    kept = [each.document for each in judged]
    width = _width(kept, length)
    filled = _fill([[_end(document, length, first=True)] for document in kept], width)
    label: Any = np.zeros(filled.tokens.shape, np.float32)
    for row, each in zip(label, judged):
        end = each.label[-length:]
        row[: len(end)] = end
    return Labelled(filled, label)


def prompt_rows(prompts: Sequence[Sequence[int]], width: int | None = None) -> Prompts:
    """Prompts of tokens padded on the left to `width` tokens; None: as the longest wants it."""
    width = prompt_width(prompts) if width is None else width
    tokens: Any = np.zeros((len(prompts), width), np.int32)
    segments: Any = np.zeros((len(prompts), width), np.int32)
    for row, prompt in enumerate(prompts):
        if len(prompt) > width:
            raise ValueError(f"prompt {row + 1} has {len(prompt)} tokens, and the rows have {width}; give them more.")
        tokens[row, width - len(prompt) :] = prompt
        segments[row, width - len(prompt) :] = 1
    return Prompts(tokens, segments)


def prompt_width(
    prompts: Sequence[Sequence[int]], longest: int | None = None, rows: Sequence[Mapping[str, Any]] = ()
) -> int:
    """How many tokens rows of these prompts need. ValueError names the first of more than `longest`, by its row."""
    sizes = [len(prompt) for prompt in prompts]
    for number, size in enumerate(sizes, 1):
        if longest is not None and size > longest:
            place = place_of(rows[number - 1] if rows else {}, number)
            raise ValueError(f"{place}: its prompt has {size} tokens, and longest = {longest}; raise it, or drop it.")
    return _bucket(max(sizes, default=1), longest)


@functools.lru_cache(maxsize=4)  # every batch of an epoch asks for it
def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The rows 0 ... count - 1 in the order of an epoch: a pure function, the same with every version of NumPy."""
    draws = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(count)
    shuffled = np.argsort(draws, kind="stable")
    shuffled.flags.writeable = False
    return shuffled


def batch_indices(seed: int, step: int, batch: int, count: int) -> np.ndarray:
    """The rows of batch number `step`, [batch]. Epochs follow each other, also within a batch; nothing is left out."""
    if count < 1:
        raise ValueError(f"count = {count}: there is no row to make a batch of.")
    epoch, row = np.divmod(np.arange(step * batch, (step + 1) * batch), count)
    return np.array([order(seed, int(e), count)[r] for e, r in zip(epoch, row)])


def _width(documents: Sequence[Document], length: int) -> int:
    return _bucket(max(len(document.tokens) for document in documents), length)


def _bucket(longest: int, length: int | None = None) -> int:
    multiple = MULTIPLE if longest <= LONG else LONG_MULTIPLE
    width = -(-longest // multiple) * multiple
    return width if length is None else min(width, length)


def _end(document: Document, length: int, first: bool = False) -> Document:
    """The last `length` tokens. The first of them is learned only if it need not be predicted (`first`)."""
    cut = len(document.tokens) - length
    if cut <= 0:
        return document
    weight = document.weight[cut:].copy()
    weight[0] *= first
    return Document(document.tokens[cut:], weight, max(document.prompt - cut, 0))


def _ends(pair: Preferred, length: int) -> tuple[Document, Document]:
    """Both documents without the beginning of the prompt, the same part of it for both, so that both fit."""
    both = (pair.chosen, pair.rejected)
    cut = max(0, max(len(document.tokens) for document in both) - length)
    cut = min(cut, *(document.prompt for document in both))
    shorter = (_end(document, len(document.tokens) - cut) for document in both)
    chosen, rejected = (_end(document, length) for document in shorter)
    return chosen, rejected


def _other(documents: Sequence[Document], row: int) -> Document:
    """The document before that has another prompt; if all have the same, the one before."""
    before = [documents[(row - back) % len(documents)] for back in range(1, len(documents))]
    prompt = documents[row].tokens[: documents[row].prompt]
    return next((x for x in before if not np.array_equal(x.tokens[: x.prompt], prompt)), before[0])


def _with_answer(document: Document, other: Document) -> Document:
    tokens = np.concatenate([document.tokens[: document.prompt], other.tokens[other.prompt :]])
    weight = np.concatenate([document.weight[: document.prompt], other.weight[other.prompt :]])
    return Document(tokens, weight, document.prompt)


def _fill(rows: Sequence[Sequence[Document]], width: int) -> Texts:
    """Documents one behind the other in rows of `width` tokens; numbered 1, 2, ... within a row."""
    tokens: Any = np.zeros((len(rows), width), np.int32)
    segments: Any = np.zeros((len(rows), width), np.int32)
    weight: Any = np.zeros((len(rows), width), np.float32)
    for row, documents in enumerate(rows):
        start = 0
        for number, document in enumerate(documents, 1):
            end = start + len(document.tokens)
            tokens[row, start:end], weight[row, start:end] = document.tokens, document.weight
            segments[row, start:end] = number
            start = end
    return Texts(tokens, segments, weight)
