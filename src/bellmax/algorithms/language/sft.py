"""Supervised fine-tuning, as the first step of InstructGPT (Ouyang et al., 2022), https://arxiv.org/abs/2203.02155.

Descend on the cross-entropy of the tokens that are to be learned,

    L = - sum_t w_t log pi(token_t | those before it) / sum_t w_t,

where w is 1 on the answers, with the token that ends them, and 0 on prompts and padding.

Beyond the paper: the mean is over the tokens of the whole batch, however it is cut into pieces; several examples may
share a row, and do not see each other.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.experience import Examples
from bellmax.language.learner import AdamW, Compute, Learned, Metrics, stepped
from bellmax.language.texts import Texts
from bellmax.language.transformer import Transformer
from bellmax.maths.reductions import evenly
from bellmax.maths.schedules import Scheduled


class SFT(Frozen):
    """Learn to write what was written."""

    experience: Examples = Examples()  # what it learns from
    learning_rate: Scheduled = 2e-5  # AdamW's
    optimiser: AdamW = AdamW()  # how gradients become steps
    compute: Compute = Compute()  # precision and memory

    reads = "examples"  # what kind of rows

    def init(self, key: Array, model: Transformer) -> Learned:
        return Learned(model, self.optimiser.init(model), jnp.int32(0))

    def update(self, state: Learned, batch: Texts, key: Array) -> tuple[Learned, Metrics]:
        share = evenly(batch.weight)
        state, metrics = stepped(self, state, (batch, share))
        return state._replace(steps=state.steps + 1), metrics | {"tokens": batch.weight.sum()}

    def loss(self, model: Transformer, piece: tuple[Texts, Array]) -> tuple[Array, Metrics]:
        texts, share = piece
        scores = self.compute.scores(model, texts)
        loss = -jnp.where(share > 0, share * scores.log_prob, 0).sum()
        entropy = jnp.where(share > 0, share * scores.entropy, 0).sum()
        return loss, {"loss": loss, "entropy": jax.lax.stop_gradient(entropy)}
