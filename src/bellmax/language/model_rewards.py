"""Trained reward models as rewards: they judge the tokens that were written, which are never encoded again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.language.learner import Compute
from bellmax.language.scored import Scored
from bellmax.language.texts import Texts

PLAIN = Compute()  # float32, all rows at once


class ModelReward:
    """What a reward model says behind the last token of each answer."""

    judges_tokens = True

    def __init__(self, scored: Scored, compute: Compute = PLAIN):
        self.scored, self.compute = scored, compute

    def __call__(self, texts: Texts) -> np.ndarray:
        """[batch]"""
        return np.asarray(_said(self.compute, self.scored, texts), float)


class EnsembleReward:
    """What several reward models agree on: their mean, minus `caution` times their spread (standard deviation).

    Answers that they disagree on are where a policy finds the faults of one. Coste et al., 2023,
    https://arxiv.org/abs/2310.02743, subtract the variance; here the spread has the unit of a reward. Models may differ
    in size; they must have been trained on the same pairs, or be scaled alike.
    """

    judges_tokens = True

    def __init__(self, scored: Sequence[Scored], caution: float = 1.0, compute: Compute = PLAIN):
        if len(scored) < 2:
            raise ValueError(f"EnsembleReward.scored has {len(scored)} models: give at least 2, or use ModelReward.")
        if not caution >= 0:
            raise ValueError(f"EnsembleReward.caution = {caution!r}: it must be at least 0.")
        self.scored, self.caution, self.compute = list(scored), caution, compute

    def __call__(self, texts: Texts) -> np.ndarray:
        """[batch]"""
        said = np.stack([np.asarray(_said(self.compute, scored, texts), float) for scored in self.scored])
        return cautious(said, self.caution)


def cautious(said: Any, caution: float) -> np.ndarray:
    """What models say [models, batch] -> mean - caution * standard deviation [batch]."""
    return np.mean(said, axis=0) - caution * np.std(said, axis=0)


@jax.jit
def _said(compute: Compute, scored: Scored, texts: Texts) -> Array:
    def of_rows(texts: Texts) -> Array:
        return scored.of_whole(texts, dtype=jnp.dtype(compute.dtype), remember=compute.remember)

    return compute.in_pieces(of_rows, texts)
