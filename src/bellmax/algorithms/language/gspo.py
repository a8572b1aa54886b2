"""Group sequence policy optimisation (Zheng et al., 2025), https://arxiv.org/abs/2507.18071.

As GRPO, but an answer has one ratio, the geometric mean of its tokens' (eq. 7),

    J = E[ min(s A, clip(s, 1 - eps, 1 + eps_high) A) ],  s = (pi / pi_old (answer))^(1 / length)               (eq. 5)

so that what is clipped is what is rewarded: whole answers. There is no reference.

Beyond the paper: pi_old is what wrote the answers.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.experience import Completions
from bellmax.language.learner import AdamW, Compute, Learned, Metrics, stepped
from bellmax.language.texts import Answers, Texts, mean
from bellmax.language.transformer import Transformer
from bellmax.maths.batches import shuffled_minibatches
from bellmax.maths.groups import same_in_group, standardised_in_group
from bellmax.maths.objectives import clipped_surrogate, is_clipped
from bellmax.maths.reductions import evenly
from bellmax.maths.schedules import Scheduled
from bellmax.ranges import Count, Positive


class Sample(NamedTuple):
    """What one gradient step needs to know of each answer."""

    texts: Texts
    log_prob: Array  # mean over the answer's tokens when it was written, [batch]
    advantage: Array  # [batch]


class GSPO(Frozen):
    """Learn from rewards against the group's mean; an answer has one ratio."""

    experience: Completions = Completions(prompts=32, group=8)  # answers to each prompt
    clip: Positive = 3e-4  # eps: how far down the ratio may move
    clip_high: Positive = 4e-4  # eps_high: how far up
    epochs: Count = 1  # passes over the answers
    minibatches: Count = 4  # pieces a pass is cut into
    learning_rate: Scheduled = 1e-6  # AdamW's
    optimiser: AdamW = AdamW()  # how gradients become steps
    compute: Compute = Compute()  # precision and memory

    reads = "prompts"  # what kind of rows

    def init(self, key: Array, model: Transformer) -> Learned:
        return Learned(model, self.optimiser.init(model), jnp.int32(0))

    def update(self, state: Learned, batch: Answers, key: Array) -> tuple[Learned, Metrics]:
        advantage = standardised_in_group(batch.reward, self.experience.group)
        samples = Sample(batch.texts, mean(batch.log_prob, batch.texts.weight), advantage)

        def epoch(state: Learned, key: Array) -> tuple[Learned, Metrics]:
            return jax.lax.scan(self.ascend, state, shuffled_minibatches(key, samples, self.minibatches))

        new, metrics = jax.lax.scan(epoch, state, jax.random.split(key, self.epochs))
        same = same_in_group(batch.reward, self.experience.group).mean()
        return new._replace(steps=state.steps + 1), metrics | {"same_rewards": same}

    def ascend(self, state: Learned, piece: Sample) -> tuple[Learned, Metrics]:
        """One gradient step on one minibatch."""
        share = evenly(jnp.ones_like(piece.advantage))
        return stepped(self, state, (piece, share))

    def loss(self, model: Transformer, cut: tuple[Sample, Array]) -> tuple[Array, Metrics]:
        piece, share = cut
        scores = self.compute.scores(model, piece.texts, self.experience.sampling.temperature)
        log_prob = mean(scores.log_prob, piece.texts.weight)
        terms = {
            "loss": -clipped_surrogate(log_prob, piece.log_prob, piece.advantage, self.clip, self.clip_high),
            "entropy": mean(scores.entropy, piece.texts.weight),
            "clip_fraction": is_clipped(log_prob, piece.log_prob, self.clip, self.clip_high),
        }
        sums = {name: (share * term).sum() for name, term in terms.items()}
        return sums["loss"], sums
