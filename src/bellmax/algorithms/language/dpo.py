"""Direct preference optimisation (Rafailov et al., 2023), https://arxiv.org/abs/2305.18290.

The policy is its own reward model: from pairs of answers, descend on

    L = E[ -log sigmoid(beta g) ],  g = log pi / pi_ref (chosen) - log pi / pi_ref (rejected)            (eq. 7)

with the log-probabilities of whole answers, summed over their tokens.

Options that papers on it name: `smoothing` e supposes that a share e of the pairs is labelled the wrong way round
(conservative DPO, Mitchell, 2023, https://ericmitchell.ai/cdpo.pdf); `form` "ipo" descends on (g - 1 / (2 beta))^2
instead, with the mean over an answer's tokens (Azar et al., 2023, https://arxiv.org/abs/2310.12036, eq. 17).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.adapters import kept
from bellmax.language.experience import Preferences
from bellmax.language.learner import AdamW, Compute, Metrics, Referred, stepped
from bellmax.language.texts import Pairs, Texts, mean, total
from bellmax.language.transformer import Transformer
from bellmax.maths.preferences import dpo_loss, ipo_loss
from bellmax.maths.reductions import evenly
from bellmax.maths.schedules import Scheduled
from bellmax.ranges import Positive, Unit


class Sample(NamedTuple):
    """Pairs, and what the reference thinks of them."""

    pairs: Pairs
    chosen: Array  # log pi_ref, [batch]
    rejected: Array
    share: Array


class DPO(Frozen):
    """Learn from preferences without a reward model."""

    experience: Preferences = Preferences()  # what it learns from
    beta: Positive = 0.1  # how dear it is to leave the reference
    smoothing: Unit = 0.0  # share of pairs that are supposed to be the wrong way round
    form: Literal["sigmoid", "ipo"] = "sigmoid"  # the loss of a pair
    learning_rate: Scheduled = 1e-6  # AdamW's
    optimiser: AdamW = AdamW()  # how gradients become steps
    compute: Compute = Compute()  # precision and memory

    reads = "preferences"  # what kind of rows

    def init(self, key: Array, model: Transformer) -> Referred:
        return Referred(model, kept(model), self.optimiser.init(model), jnp.int32(0))

    def update(self, state: Referred, batch: Pairs, key: Array) -> tuple[Referred, Metrics]:
        reference = state.reference

        def refer(pairs: Pairs) -> tuple[Array, Array]:
            return self.log_prob(reference, pairs.chosen), self.log_prob(reference, pairs.rejected)

        share = evenly(jnp.ones_like(batch.margin))
        chosen, rejected = self.compute.in_pieces(refer, batch)
        sample = Sample(batch, chosen, rejected, share)
        state, metrics = stepped(self, state, sample)
        return state._replace(steps=state.steps + 1), metrics

    def log_prob(self, model: Transformer, texts: Texts) -> Array:
        """Of whole answers, [batch]: the sum over tokens, for IPO their mean."""
        log_prob = self.compute.scores(model, texts).log_prob
        return (mean if self.form == "ipo" else total)(log_prob, texts.weight)

    def loss(self, model: Transformer, sample: Sample) -> tuple[Array, Metrics]:
        log_chosen, log_rejected = (self.log_prob(model, x) for x in (sample.pairs.chosen, sample.pairs.rejected))
        chosen, rejected = log_chosen - sample.chosen, log_rejected - sample.rejected
        gap = chosen - rejected
        each = ipo_loss(gap, self.beta) if self.form == "ipo" else dpo_loss(gap, self.beta, self.smoothing)
        terms = {
            "loss": each,
            "accuracy": (gap > 0).astype(jnp.float32),
            "reward_chosen": self.beta * chosen,
            "reward_rejected": self.beta * rejected,
            "log_prob_chosen": log_chosen,
            "log_prob_rejected": log_rejected,
        }
        sums = {name: (sample.share * term).sum() for name, term in terms.items()}
        return sums["loss"], sums
