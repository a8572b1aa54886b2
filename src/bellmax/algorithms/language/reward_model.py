"""A reward model from pairs of answers (Ouyang et al., 2022), https://arxiv.org/abs/2203.02155, eq. 1.

A transformer with one number behind an answer's last token learns which of two answers was preferred,

    L = E[ -log sigmoid(r(chosen) - r(rejected) - margin) ] + c E[ (r(chosen) + r(rejected))^2 ].

Beyond the paper: the margin is Llama 2's (Touvron et al., 2023, https://arxiv.org/abs/2307.09288, eq. 2); the second
term keeps rewards around 0, which the first leaves open (Eisenstein et al., 2023, https://arxiv.org/abs/2312.09244).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.experience import Preferences
from bellmax.language.learner import AdamW, Compute, Learned, Metrics, stepped
from bellmax.language.scored import Scored
from bellmax.language.texts import Pairs
from bellmax.language.transformer import Transformer
from bellmax.maths.preferences import bradley_terry
from bellmax.maths.reductions import evenly
from bellmax.maths.schedules import Scheduled
from bellmax.ranges import NonNegative


class RewardModel(Frozen):
    """Learn which answer is preferred."""

    experience: Preferences = Preferences()  # what it learns from
    learning_rate: Scheduled = 1e-5  # AdamW's
    centring: NonNegative = 0.01  # c: how strongly rewards are kept around 0
    optimiser: AdamW = AdamW()  # how gradients become steps
    compute: Compute = Compute()  # precision and memory

    reads = "preferences"  # what kind of rows
    judges = True  # it gives numbers, and writes nothing

    def init(self, key: Array, model: Transformer) -> Learned:
        scored = Scored(key, model)
        return Learned(scored, self.optimiser.init(scored), jnp.int32(0))

    def update(self, state: Learned, batch: Pairs, key: Array) -> tuple[Learned, Metrics]:
        share = evenly(jnp.ones_like(batch.margin))
        state, metrics = stepped(self, state, (batch, share))
        return state._replace(steps=state.steps + 1), metrics

    def loss(self, model: Scored, piece: tuple[Pairs, Array]) -> tuple[Array, Metrics]:
        pairs, share = piece
        how: Any = {"dtype": jnp.dtype(self.compute.dtype), "remember": self.compute.remember}
        chosen, rejected = model.of_whole(pairs.chosen, **how), model.of_whole(pairs.rejected, **how)
        each = bradley_terry(chosen, rejected, pairs.margin) + self.centring * jnp.square(chosen + rejected)
        terms = {
            "loss": each,
            "accuracy": (chosen > rejected).astype(jnp.float32),
            "gap": chosen - rejected,
            "reward": (chosen + rejected) / 2,
        }
        sums = {name: (share * term).sum() for name, term in terms.items()}
        return sums["loss"], sums
