"""REINFORCE with a leave-one-out baseline (Ahmadian et al., 2024), https://arxiv.org/abs/2402.14740.

Answer every prompt k times, and ascend

    J = 1/k sum_i ( R_i - 1/(k-1) sum_{j != i} R_j ) log pi(answer_i),   R = r - beta log pi / pi_ref (answer)   (eq. 8)

where a whole answer is one action: its log-probability is the sum over its tokens, and the KL is part of the reward.
With one answer to each prompt the baseline is the mean of the rewards so far instead (REINFORCE, Williams, 1992).

Beyond the paper: several epochs of minibatches use the ratio pi / pi_old of whole answers, unclipped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.adapters import as_it_was, kept
from bellmax.language.experience import Completions
from bellmax.language.learner import AdamW, Compute, Metrics, stepped
from bellmax.language.texts import Answers, Texts, total
from bellmax.language.transformer import Transformer
from bellmax.maths.batches import shuffled_minibatches
from bellmax.maths.groups import against_others
from bellmax.maths.reductions import evenly
from bellmax.maths.schedules import Scheduled
from bellmax.maths.statistics import Moments, no_moments, update_moments
from bellmax.ranges import Count, NonNegative


class State(NamedTuple):
    """What has been learned."""

    model: Transformer
    before: Any  # what is trained of the model, as it was: the reference
    opt_state: Any
    seen: Moments  # of the rewards so far, with the KL in them
    steps: Array  # updates so far: the clock of the schedules


class Sample(NamedTuple):
    """What one gradient step needs to know of each answer."""

    texts: Texts
    log_prob: Array  # of the whole answer when it was written, [batch]
    advantage: Array  # [batch]


class RLOO(Frozen):
    """Learn from rewards against those of the other answers; an answer is one action."""

    experience: Completions = Completions(prompts=64, group=4)  # k: answers to each prompt
    kl_weight: NonNegative = 0.05  # beta
    epochs: Count = 1  # passes over the answers
    minibatches: Count = 1  # pieces a pass is cut into
    learning_rate: Scheduled = 1e-6  # AdamW's
    optimiser: AdamW = AdamW()  # how gradients become steps
    compute: Compute = Compute()  # precision and memory

    reads = "prompts"  # what kind of rows

    def init(self, key: Array, model: Transformer) -> State:
        return State(model, kept(model), self.optimiser.init(model), no_moments(), jnp.int32(0))

    def update(self, state: State, batch: Answers, key: Array) -> tuple[State, Metrics]:
        model = as_it_was(state.model, state.before)
        reference = self.compute.in_pieces(lambda texts: self.log_prob(model, texts), batch.texts)
        log_prob = total(batch.log_prob, batch.texts.weight)
        kl = log_prob - reference
        reward = batch.reward - self.kl_weight * kl
        samples = Sample(batch.texts, log_prob, self.advantage(reward, state.seen))

        def epoch(state: State, key: Array) -> tuple[State, Metrics]:
            return jax.lax.scan(self.ascend, state, shuffled_minibatches(key, samples, self.minibatches))

        state = state._replace(seen=update_moments(state.seen, reward, jnp.ones_like(reward)))
        state, metrics = jax.lax.scan(epoch, state, jax.random.split(key, self.epochs))
        return state._replace(steps=state.steps + 1), metrics | {"kl": kl.mean()}

    def advantage(self, reward: Array, seen: Moments) -> Array:
        """Against the others of the group, or against all before, [batch]."""
        group = self.experience.group
        return against_others(reward, group) if group > 1 else reward - seen.mean

    def log_prob(self, model: Transformer, texts: Texts) -> Array:
        """Of whole answers at the temperature that they were written at, [batch]."""
        return total(self.compute.scores(model, texts, self.experience.sampling.temperature).log_prob, texts.weight)

    def ascend(self, state: State, piece: Sample) -> tuple[State, Metrics]:
        """One gradient step on one minibatch."""
        share = evenly(jnp.ones_like(piece.advantage))
        return stepped(self, state, (piece, share))

    def loss(self, model: Transformer, cut: tuple[Sample, Array]) -> tuple[Array, Metrics]:
        piece, share = cut
        ratio = jnp.exp(self.log_prob(model, piece.texts) - piece.log_prob)
        loss = -(share * ratio * piece.advantage).sum()
        return loss, {"loss": loss, "ratio": (share * ratio).sum()}
