"""Group relative policy optimisation (Shao et al., 2024), https://arxiv.org/abs/2402.03300.

Answer every prompt G times; an answer's advantage is its reward, standardised within its group. Ascend

    J = E[ min(r_t A, clip(r_t, 1 - eps, 1 + eps) A) - beta KL(pi || pi_ref) ],  r_t = pi / pi_old (token_t)    (eq. 3)

averaged over the tokens of each answer, then over answers. The KL is estimated by k3, token by token (eq. 4).

Options of papers on it: `reduction` "dapo", every token of the batch alike, and `clip_high`, another upper clip (DAPO,
Yu et al., 2025, https://arxiv.org/abs/2503.14476; its dynamic sampling is `Completions.resample`); `reduction`
"dr-grpo", in which no answer's length divides, and `standardised` False, so that no deviation divides (Dr. GRPO, Liu et
al., 2025, https://arxiv.org/abs/2503.20783).

Beyond the paper: pi_old is what wrote the answers; `kl` "k2" has the gradient of the KL itself, which k3 has not; with
`kl_weight` None there is no reference.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.adapters import kept
from bellmax.language.experience import Completions
from bellmax.language.learner import AdamW, Compute, Metrics, Referred, stepped
from bellmax.language.texts import Answers, Texts, total
from bellmax.language.transformer import Transformer
from bellmax.maths.batches import shuffled_minibatches
from bellmax.maths.divergences import kl_k1, kl_k2, kl_k3
from bellmax.maths.groups import against_mean, same_in_group, standardised_in_group
from bellmax.maths.objectives import clipped_surrogate, is_clipped
from bellmax.maths.reductions import Reduction, evenly, shares
from bellmax.maths.schedules import Scheduled, at
from bellmax.ranges import Count, NonNegative, Positive

KL = {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3}


class Sample(NamedTuple):
    """What one gradient step needs to know of each answer."""

    texts: Texts
    log_prob: Array  # when it was written, [batch, time]
    reference: Array  # log pi_ref, [batch, time]
    advantage: Array  # [batch]
    share: Array  # what each token counts for, [batch, time]
    even: Array  # the same, every token alike: for metrics


class GRPO(Frozen):
    """Learn from rewards against the group's mean, without a critic."""

    experience: Completions = Completions(prompts=32, group=8)  # G: answers to each prompt
    clip: Scheduled = 0.2  # eps: how far the ratio may move
    clip_high: Positive | None = None  # how far up, if not as far as down
    kl_weight: NonNegative | None = 0.04  # beta; None keeps no reference
    kl: Literal["k1", "k2", "k3"] = "k3"  # how the KL is estimated
    reduction: Reduction = "grpo"  # how tokens are averaged
    standardised: bool = True  # divide by the group's deviation
    epochs: Count = 1  # passes over the answers
    minibatches: Count = 1  # pieces a pass is cut into
    learning_rate: Scheduled = 1e-6  # AdamW's
    optimiser: AdamW = AdamW()  # how gradients become steps
    compute: Compute = Compute()  # precision and memory

    reads = "prompts"  # what kind of rows

    def init(self, key: Array, model: Transformer) -> Referred:
        before = None if self.kl_weight is None else kept(model)
        return Referred(model, before, self.optimiser.init(model), jnp.int32(0))

    def update(self, state: Referred, batch: Answers, key: Array) -> tuple[Referred, Metrics]:
        samples = self.samples(state, batch)

        def epoch(state: Referred, key: Array) -> tuple[Referred, Metrics]:
            return jax.lax.scan(self.ascend, state, shuffled_minibatches(key, samples, self.minibatches))

        new, metrics = jax.lax.scan(epoch, state, jax.random.split(key, self.epochs))
        if self.kl_weight is not None:
            metrics["kl"] = total(kl_k1(batch.log_prob, samples.reference), batch.texts.weight).mean()
        same = same_in_group(batch.reward, self.experience.group).mean()
        return new._replace(steps=state.steps + 1), metrics | {"same_rewards": same}

    def samples(self, state: Referred, batch: Answers) -> Sample:
        """Advantages, and what the reference thinks of the answers."""
        reference = batch.log_prob
        if self.kl_weight is not None:
            model = state.reference
            reference = self.compute.in_pieces(lambda texts: self.log_prob(model, texts), batch.texts)
        against = standardised_in_group if self.standardised else against_mean
        advantage = against(batch.reward, self.experience.group)
        nothing = jnp.zeros_like(batch.log_prob)
        return Sample(batch.texts, batch.log_prob, reference, advantage, nothing, nothing)

    def log_prob(self, model: Transformer, texts: Texts) -> Array:
        """Of every token at the temperature that it was written at, [batch, time]."""
        return self.compute.scores(model, texts, self.experience.sampling.temperature).log_prob

    def ascend(self, state: Referred, piece: Sample) -> tuple[Referred, Metrics]:
        """One gradient step on one minibatch."""
        weight, longest = piece.texts.weight, self.experience.sampling.max_tokens
        piece = piece._replace(share=shares(weight, self.reduction, longest), even=evenly(weight))
        clip = jnp.broadcast_to(jnp.asarray(at(self.clip, state.steps)), piece.advantage.shape)
        return stepped(self, state, (piece, clip))

    def loss(self, model: Transformer, cut: tuple[Sample, Array]) -> tuple[Array, Metrics]:
        piece, clip = cut[0], cut[1][:, None]
        scores = self.compute.scores(model, piece.texts, self.experience.sampling.temperature)
        written = piece.texts.weight > 0
        log_prob, reference = (jnp.where(written, x, piece.log_prob) for x in (scores.log_prob, piece.reference))
        surrogate = clipped_surrogate(log_prob, piece.log_prob, piece.advantage[:, None], clip, self.clip_high)
        kl = KL[self.kl](log_prob, reference)
        objective = surrogate if self.kl_weight is None else surrogate - self.kl_weight * kl
        terms = {
            "entropy": scores.entropy,
            "clip_fraction": is_clipped(log_prob, piece.log_prob, clip, self.clip_high),
            "old_kl": kl_k3(piece.log_prob, log_prob),
        }
        loss = -(piece.share * objective).sum()
        return loss, {"loss": loss} | {name: (piece.even * term).sum() for name, term in terms.items()}
