"""Kahneman-Tversky optimisation (Ethayarajh et al., 2024), https://arxiv.org/abs/2402.01306.

From answers that are called good or bad one by one, descend on

    L = E[ lambda_y (1 - v) ],  v = sigmoid(beta (r - z)) for good answers, sigmoid(beta (z - r)) for bad        (eq. 8)

where r = log pi / pi_ref (answer) and z, through which no gradient goes, is the KL from the reference, at least 0.

Beyond the paper's text, as in its code: z is estimated by r of answers that belong to the batch's other prompts; here
each prompt is given the answer of the row before it, so that a batch needs two rows or more, of different prompts.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.adapters import kept
from bellmax.language.experience import Examples
from bellmax.language.learner import AdamW, Compute, Metrics, Referred, stepped
from bellmax.language.texts import Texts, Unpaired, total
from bellmax.language.transformer import Transformer
from bellmax.maths.preferences import kto_loss
from bellmax.maths.reductions import evenly
from bellmax.maths.schedules import Scheduled
from bellmax.ranges import Positive


class Sample(NamedTuple):
    """What one gradient step needs to know, [batch] each."""

    texts: Texts
    label: Array
    reference: Array  # log pi_ref
    baseline: Array  # z
    share: Array
    good: Array  # shares of the good answers, and of the bad ones: for metrics
    bad: Array


class KTO(Frozen):
    """Learn from answers that are called good or bad, without pairs."""

    experience: Examples = Examples()  # what it learns from
    beta: Positive = 0.1  # how dear it is to leave the reference
    good_weight: Positive = 1.0  # lambda of good answers
    bad_weight: Positive = 1.0  # lambda of bad answers
    learning_rate: Scheduled = 1e-6  # AdamW's
    optimiser: AdamW = AdamW()  # how gradients become steps
    compute: Compute = Compute()  # precision and memory

    reads = "labelled"  # what kind of rows

    def init(self, key: Array, model: Transformer) -> Referred:
        return Referred(model, kept(model), self.optimiser.init(model), jnp.int32(0))

    def update(self, state: Referred, batch: Unpaired, key: Array) -> tuple[Referred, Metrics]:
        before = state.reference

        def refer(texts: Texts) -> tuple[Array, Array]:
            return self.log_prob(state.model, texts), self.log_prob(before, texts)

        ours, theirs = self.compute.in_pieces(refer, batch.mismatched)
        baseline = jnp.maximum((ours - theirs).mean(), 0.0)
        reference = self.compute.in_pieces(lambda texts: self.log_prob(before, texts), batch.labelled.texts)
        everywhere = jnp.broadcast_to(baseline, reference.shape)
        share = evenly(jnp.ones_like(reference))
        good = (batch.labelled.label > 0).astype(jnp.float32)
        given = batch.labelled.texts, batch.labelled.label, reference
        sample = Sample(*given, everywhere, share, evenly(good), evenly(1 - good))
        state, metrics = stepped(self, state, sample)
        return state._replace(steps=state.steps + 1), metrics | {"kl": baseline}

    def log_prob(self, model: Transformer, texts: Texts) -> Array:
        """Of whole answers, [batch]."""
        return total(self.compute.scores(model, texts).log_prob, texts.weight)

    def loss(self, model: Transformer, sample: Sample) -> tuple[Array, Metrics]:
        log_ratio, good = self.log_prob(model, sample.texts) - sample.reference, sample.label > 0
        weight = jnp.where(good, self.good_weight, self.bad_weight)
        loss = (sample.share * weight * kto_loss(log_ratio, good, sample.baseline, self.beta)).sum()
        rewards = {"reward_good": sample.good, "reward_bad": sample.bad}
        return loss, {"loss": loss} | {name: (each * self.beta * log_ratio).sum() for name, each in rewards.items()}
