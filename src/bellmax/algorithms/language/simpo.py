"""Simple preference optimisation (Meng et al., 2024), https://arxiv.org/abs/2405.14734.

The reward of an answer is its mean log-probability; there is no reference. On pairs of answers descend on

    L = E[ -log sigmoid( beta (log pi(chosen) / |chosen| - log pi(rejected) / |rejected|) - gamma ) ]           (eq. 6)
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.experience import Preferences
from bellmax.language.learner import AdamW, Compute, Learned, Metrics, stepped
from bellmax.language.texts import Pairs, Texts, mean
from bellmax.language.transformer import Transformer
from bellmax.maths.preferences import simpo_loss
from bellmax.maths.reductions import evenly
from bellmax.maths.schedules import Scheduled
from bellmax.ranges import NonNegative, Positive


class SimPO(Frozen):
    """Learn from preferences by mean log-probabilities, without a reference."""

    experience: Preferences = Preferences()  # what it learns from
    beta: Positive = 2.0  # how steeply differences count
    gamma: NonNegative = 1.0  # by how much the chosen answer's reward is to lead
    learning_rate: Scheduled = 1e-6  # AdamW's
    optimiser: AdamW = AdamW()  # how gradients become steps
    compute: Compute = Compute()  # precision and memory

    reads = "preferences"  # what kind of rows

    def init(self, key: Array, model: Transformer) -> Learned:
        return Learned(model, self.optimiser.init(model), jnp.int32(0))

    def update(self, state: Learned, batch: Pairs, key: Array) -> tuple[Learned, Metrics]:
        share = evenly(jnp.ones_like(batch.margin))
        state, metrics = stepped(self, state, (batch, share))
        return state._replace(steps=state.steps + 1), metrics

    def loss(self, model: Transformer, piece: tuple[Pairs, Array]) -> tuple[Array, Metrics]:
        pairs, share = piece
        chosen, rejected = self.log_prob(model, pairs.chosen), self.log_prob(model, pairs.rejected)
        terms = {
            "loss": simpo_loss(chosen, rejected, self.beta, self.gamma),
            "accuracy": (chosen > rejected).astype(jnp.float32),
            "log_prob_chosen": chosen,
            "log_prob_rejected": rejected,
        }
        sums = {name: (share * term).sum() for name, term in terms.items()}
        return sums["loss"], sums

    def log_prob(self, model: Transformer, texts: Texts) -> Array:
        """Mean over an answer's tokens, [batch]."""
        return mean(self.compute.scores(model, texts).log_prob, texts.weight)
