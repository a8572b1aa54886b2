"""PPO for language models (Ouyang et al., 2022), https://arxiv.org/abs/2203.02155; Ziegler et al., 2019, before them.

Every token is an action. Its reward is -beta log pi / pi_ref (token), and at the last one the score of the whole
answer, too; a critic says what is to come, and policy and critic take epochs of minibatches on

    L = E_tokens[ -min(r A, clip(r, 1 - eps, 1 + eps) A) + c1 (V - G)^2 ],   A from GAE(lambda), G = A + V.

With `target_kl` beta is steered so that an answer's KL stays near it (Ziegler et al., 2019,
https://arxiv.org/abs/1909.08593, section 2.2).

Beyond the papers, as in their code (Huang et al., 2024, https://arxiv.org/abs/2403.17031): advantages are standardised
over the tokens of each minibatch; (V - G)^2 is halved, and the change of V is clipped; an answer that does not end by
itself gets `missing_end` instead of its score, if that is given. pi_old is what wrote the answers. The critic is a
transformer of its own: that of a reward model, or a copy of the policy's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.adapters import as_it_was, kept
from bellmax.language.experience import Completions
from bellmax.language.learner import AdamW, Compute, Metrics
from bellmax.language.scored import Scored, before
from bellmax.language.texts import Answers, Texts, total
from bellmax.language.transformer import Transformer
from bellmax.maths.batches import shuffled_minibatches
from bellmax.maths.divergences import kl_k1, kl_k3
from bellmax.maths.kl_control import steered
from bellmax.maths.objectives import clipped_surrogate, is_clipped
from bellmax.maths.reductions import evenly
from bellmax.maths.returns import gae
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import explained_variance, standardise
from bellmax.maths.values import clipped_value_error
from bellmax.ranges import Count, NonNegative, Positive, Unit


class Both(NamedTuple):
    """What is trained."""

    policy: Transformer
    critic: Scored


class State(NamedTuple):
    """What has been learned."""

    both: Both
    before: Any  # what is trained of the policy, as it was: the reference
    opt_states: tuple[Any, Any]  # of policy and critic
    kl_weight: Array  # beta
    steps: Array  # updates so far: the clock of the schedules

    @property
    def model(self) -> Transformer:
        """The policy."""
        return self.both.policy


class Sample(NamedTuple):
    """What one gradient step needs to know, [batch, time] each."""

    texts: Texts
    log_prob: Array
    value: Array
    advantage: Array
    target: Array


class PPOLM(Frozen):
    """Learn from rewards, token by token, with a critic."""

    experience: Completions = Completions(prompts=64, group=1)  # what it learns from
    gamma: Unit = 1.0  # discount
    gae_lambda: Unit = 0.95  # lambda: 0 trusts the value, 1 the sampled return
    clip: Scheduled = 0.2  # eps: how far the ratio may move
    clip_value: Positive = 0.2  # how far the value may move
    value_weight: NonNegative = 0.1  # c1
    kl_weight: NonNegative = 0.05  # beta, or where it begins
    target_kl: Positive | None = None  # nats an answer; None leaves beta as it is
    kl_rate: Positive = 0.1  # how fast beta is steered, for each update
    missing_end: float | None = None  # the score of an answer that does not end by itself; None: its own
    epochs: Count = 4  # passes over the answers
    minibatches: Count = 4  # pieces a pass is cut into
    learning_rate: Scheduled = 1e-6  # AdamW's, of the policy
    critic_learning_rate: Scheduled = 5e-6  # of the critic
    optimiser: AdamW = AdamW()  # how gradients become steps
    compute: Compute = Compute()  # precision and memory

    reads = "prompts"  # what kind of rows

    def init(self, key: Array, model: Transformer, critic: Scored | None = None) -> State:
        both = Both(model, Scored(key, model) if critic is None else jax.tree.map(jnp.copy, critic))
        opt_states = self.optimiser.init(both.policy), self.optimiser.init(both.critic)
        return State(both, kept(model), opt_states, jnp.asarray(self.kl_weight, jnp.float32), jnp.int32(0))

    def update(self, state: State, batch: Answers, key: Array) -> tuple[State, Metrics]:
        samples, kl = self.samples(state, batch)

        def epoch(state: State, key: Array) -> tuple[State, Metrics]:
            return jax.lax.scan(self.ascend, state, shuffled_minibatches(key, samples, self.minibatches))

        state, metrics = jax.lax.scan(epoch, state, jax.random.split(key, self.epochs))
        metrics |= {"kl": kl.mean(), "kl_weight": state.kl_weight, "ended": batch.ended.mean()}
        metrics["explained_variance"] = explained_variance(samples.value, samples.target, samples.texts.weight)
        if self.target_kl is not None:
            state = state._replace(kl_weight=steered(state.kl_weight, kl.mean(), self.target_kl, self.kl_rate))
        return state._replace(steps=state.steps + 1), metrics

    def samples(self, state: State, batch: Answers) -> tuple[Sample, Array]:
        """Advantages and returns under what wrote the answers; the KL of each answer, [batch]."""
        written, model = batch.texts.weight, as_it_was(state.model, state.before)

        def judge(texts: Texts) -> tuple[Array, Array]:
            return self.log_prob(model, texts), self.value(state.both.critic, texts)

        reference, value = self.compute.in_pieces(judge, batch.texts)
        kl = jnp.where(written > 0, kl_k1(batch.log_prob, reference), 0)
        last = (written > 0) & (jnp.cumsum(written, axis=1) == written.sum(1, keepdims=True))
        reward = jnp.where(last, self.score(batch)[:, None], 0.0) - state.kl_weight * kl
        next_value = jnp.concatenate([value[:, 1:], jnp.zeros_like(value[:, :1])], axis=1)
        discount = self.gamma * (1.0 - last)
        advantage = gae(reward.T, discount.T, value.T, next_value.T, last.T, self.gae_lambda).T
        advantage = jnp.where(written > 0, advantage, 0)
        return Sample(batch.texts, batch.log_prob, value, advantage, advantage + value), total(kl, written)

    def score(self, batch: Answers) -> Array:
        """What an answer is worth, [batch]."""
        return batch.reward if self.missing_end is None else jnp.where(batch.ended, batch.reward, self.missing_end)

    def log_prob(self, model: Transformer, texts: Texts) -> Array:
        """Of every token at the temperature that it was written at, [batch, time]."""
        return self.compute.scores(model, texts, self.experience.sampling.temperature).log_prob

    def value(self, critic: Scored, texts: Texts) -> Array:
        """Of the state in which each token is written, [batch, time]."""
        return before(critic(texts, dtype=jnp.dtype(self.compute.dtype), remember=self.compute.remember))

    def ascend(self, state: State, piece: Sample) -> tuple[State, Metrics]:
        """One gradient step on one minibatch."""
        weight = piece.texts.weight
        piece = piece._replace(advantage=standardise(piece.advantage, weight))
        share, clip = evenly(weight), jnp.full(weight.shape[:1], at(self.clip, state.steps))
        grads, metrics = self.compute.gradient(self.loss, state.both, (piece, share, clip))
        rates = at(self.learning_rate, state.steps), at(self.critic_learning_rate, state.steps)
        both, opt_states = [], []
        for model, slope, opt_state, rate in zip(state.both, grads, state.opt_states, rates):
            model, opt_state, more = self.optimiser.step(model, slope, opt_state, rate)
            both.append(model)
            opt_states.append(opt_state)
            metrics |= more if "grad_norm" not in metrics else {"critic_grad_norm": more["grad_norm"]}
        return state._replace(both=Both(*both), opt_states=tuple(opt_states)), metrics

    def loss(self, both: Both, cut: tuple[Sample, Array, Array]) -> tuple[Array, Metrics]:
        piece, share, clip = cut[0], cut[1], cut[2][:, None]
        scores = self.compute.scores(both.policy, piece.texts, self.experience.sampling.temperature)
        log_prob = jnp.where(share > 0, scores.log_prob, piece.log_prob)
        value = self.value(both.critic, piece.texts)
        terms = {
            "surrogate": clipped_surrogate(log_prob, piece.log_prob, piece.advantage, clip),
            "value_error": clipped_value_error(value, piece.value, piece.target, self.clip_value),
            "entropy": scores.entropy,
            "old_kl": kl_k3(piece.log_prob, log_prob),
            "clip_fraction": is_clipped(log_prob, piece.log_prob, clip),
        }
        sums = {name: (share * term).sum() for name, term in terms.items()}
        return self.value_weight * sums["value_error"] - sums["surrogate"], sums
