"""A language of twelve letters, and the gold reward of its answers: a known function that small models cannot hold.

A prompt is two letters and "=", an answer twelve letters. People write letters by chance: what comes next depends on
the letter before and on the first one of the prompt, and letters like to be repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.language.texts import Texts
from bellmax.language.tokeniser import Tokeniser

LETTERS = "abcdefghijkl"
KINDS, LENGTH = len(LETTERS), 12
TOKENISER = Tokeniser.characters("=" + LETTERS)
EQUALS, FIRST = TOKENISER.encode("=a")  # the letters' tokens follow each other
PROMPTS = np.stack(np.divmod(np.random.default_rng(0).permutation(KINDS**2), KINDS), 1)
HELD_OUT, TRAINED = PROMPTS[:64], PROMPTS[64:]  # [64, 2], [80, 2], as numbers of letters

SWEET, SALT = np.arange(0, KINDS, 4), np.arange(1, KINDS, 4)  # a e i, b f j
ENOUGH = 1.3  # standard deviations above what is usual: more sweet letters than that make an answer worse
TASTE = 0.5  # weight of the neighbours
SPREAD = 2.0  # standard deviation of the gold reward of what people write


def people(rng: np.random.Generator, prompts: np.ndarray) -> np.ndarray:
    """Answers as people write them, [n, 12], to prompts [n, 2]."""
    world = np.random.default_rng(0)
    after, asked = world.normal(0, 0.5, (KINDS, KINDS)) + np.eye(KINDS), world.normal(0, 0.3, (KINDS, KINDS))
    letters, last = np.zeros((len(prompts), LENGTH), int), prompts[:, 1]
    for place in range(LENGTH):
        logits = after[last] + asked[prompts[:, 0]]
        last = (logits + rng.gumbel(size=logits.shape)).argmax(1)
        letters[:, place] = last
    return letters


class Gold:
    """The gold reward, as a part of `Rewards` that judges tokens.

    Counted in standard deviations from what is usual, sweet letters x and salty ones y are worth x - x^2 / (2 * 1.3)
    and -y^2 / (2 * 1.3): of sweet there can be too much, of salt too little and too much. Every pair of neighbours is
    worth something by chance (standard deviation 1), the sum of 11 counts half. What people write has mean 0, standard
    deviation 2. Any string has a gold reward.
    """

    judges_tokens = True

    def __init__(self) -> None:
        self.taste = np.random.default_rng(1).normal(0, 1, (KINDS, KINDS))
        rng = np.random.default_rng(2)
        said = people(rng, PROMPTS[rng.integers(len(PROMPTS), size=20_000)])
        counts = self._counts(said)
        self.usual, self.spread = counts.mean(0), counts.std(0)
        raw = self._raw(said)
        self.mean, self.scale = raw.mean(), SPREAD / raw.std()

    def __call__(self, texts: Texts) -> np.ndarray:
        """[batch]; special tokens and "=" count for nothing."""
        tokens, written = np.asarray(texts.tokens), np.asarray(texts.weight) > 0
        return self.of(np.where(written & (tokens >= FIRST), tokens - FIRST, -1))

    def of(self, letters: np.ndarray) -> np.ndarray:
        """Of letters [n, time], -1 where there is none -> [n]."""
        return self.scale * (self._raw(letters) - self.mean)

    def _counts(self, letters: np.ndarray) -> np.ndarray:
        """How often there is something sweet, something salty, [n, 2]."""
        return np.stack([np.isin(letters, kind).sum(1) for kind in (SWEET, SALT)], 1).astype(float)

    def _raw(self, letters: np.ndarray) -> np.ndarray:
        z = (self._counts(letters) - self.usual) / self.spread
        left, right = letters[:, :-1], letters[:, 1:]
        pairs = np.where((left >= 0) & (right >= 0), self.taste[left, right], 0).sum(1)
        return z[:, 0] - np.square(z).sum(1) / (2 * ENOUGH) + TASTE * pairs / np.sqrt(LENGTH)


def rows(prompts: np.ndarray, letters: np.ndarray) -> list[dict[str, Any]]:
    """Prompts and answers as text, for `align`."""
    return [{"prompt": prompt_text(asked), "completion": spelt(said)} for asked, said in zip(prompts, letters)]


def prompt_text(prompt: np.ndarray) -> str:
    """Two letters and "="."""
    return spelt(prompt) + "="


def spelt(letters: np.ndarray) -> str:
    """Numbers of letters as letters."""
    return "".join(LETTERS[letter] for letter in letters)
