"""Batches of rows that are read: examples, pairs, labelled answers, steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bellmax.language import batching, encoding
from bellmax.language.experience import Examples, Preferences
from bellmax.language.sources import Served
from bellmax.language.texts import Unpaired
from bellmax.language.tokeniser import Tokeniser


class Reading:
    """All rows as tokens, and the batch of each step; `kind` is what the learner reads (see `rows`)."""

    def __init__(
        self,
        experience: Examples | Preferences,
        tokeniser: Tokeniser,
        rows: Sequence[Mapping[str, Any]],
        kind: str,
        seed: int,
    ):
        self.experience, self.kind, self.seed = experience, kind, seed
        encode: Any = {
            "examples": encoding.examples,
            "preferences": encoding.preferences,
            "labelled": encoding.labelled,
            "steps": encoding.steps,
        }[kind]
        self.items: list[Any] = encode(rows, tokeniser)
        self.packed = kind == "examples" and getattr(experience, "packed", False)
        if self.packed:
            sizes = [len(document.tokens) for document in self.items]
            self.items = [[self.items[i] for i in row] for row in batching.pack(sizes, experience.length)]
        if kind == "labelled" and experience.batch < 2:
            raise ValueError(f"experience.batch = {experience.batch}: this learner compares rows; give at least 2.")

    def serve(self, step: int, model: Any) -> Served:
        """The batch of step number `step`."""
        chosen = batching.batch_indices(self.seed, step, self.experience.batch, len(self.items))
        batch = self._batch([self.items[i] for i in chosen], self.experience.length)
        epochs = (step + 1) * self.experience.batch / len(self.items)
        return Served(batch, {"episodes": 0, "score": 0.0, "length": 0.0, "epochs": epochs}, [])

    def _batch(self, items: list[Any], length: int) -> Any:
        if self.packed:
            return batching.packed(items, length)
        if self.kind == "examples":
            return batching.texts(items, length)
        if self.kind == "preferences":
            return batching.pairs(items, length)
        if self.kind == "steps":
            return batching.steps(items, length)
        labelled, others = batching.labelled(items, length), batching.mismatched(items, length)
        width = max(labelled.texts.tokens.shape[1], others.tokens.shape[1])
        texts, others = (type(x)(*(_wider(a, width) for a in x)) for x in (labelled.texts, others))
        return Unpaired(labelled._replace(texts=texts), others)


def _wider(x: Any, width: int) -> Any:
    """Padded on the right: the shapes of a batch are then few."""
    return np.pad(x, ((0, 0), (0, width - x.shape[1])))
