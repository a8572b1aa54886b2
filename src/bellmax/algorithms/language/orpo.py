"""Odds ratio preference optimisation (Hong et al., 2024), https://arxiv.org/abs/2403.07691.

Fine-tuning and preferences at once, without a reference: on pairs of answers descend on

    L = E[ -mean_t log pi(chosen_t) - lambda log sigmoid( log odds(chosen) - log odds(rejected) ) ]           (eq. 6)

where odds = p / (1 - p) and log p is the mean over an answer's tokens.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.experience import Preferences
from bellmax.language.learner import AdamW, Compute, Learned, Metrics, stepped
from bellmax.language.texts import Pairs, Texts, mean
from bellmax.language.transformer import Transformer
from bellmax.maths.preferences import odds_ratio_loss
from bellmax.maths.reductions import evenly
from bellmax.maths.schedules import Scheduled
from bellmax.ranges import NonNegative


class ORPO(Frozen):
    """Learn to write the chosen answers, and not the rejected ones."""

    experience: Preferences = Preferences()  # what it learns from
    odds_weight: NonNegative = 0.1  # lambda
    learning_rate: Scheduled = 8e-6  # AdamW's
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
            "likelihood": -chosen,
            "odds": odds_ratio_loss(chosen, rejected),
            "accuracy": (chosen > rejected).astype(jnp.float32),
            "log_prob_chosen": chosen,
            "log_prob_rejected": rejected,
        }
        sums = {name: (share * term).sum() for name, term in terms.items()}
        loss = sums["likelihood"] + self.odds_weight * sums["odds"]
        return loss, sums | {"loss": jax.lax.stop_gradient(loss)}

    def log_prob(self, model: Transformer, texts: Texts) -> Array:
        """Mean over an answer's tokens, [batch]."""
        return mean(self.compute.scores(model, texts).log_prob, texts.weight)
