"""A process reward model: is each step right? (Lightman et al., 2023), https://arxiv.org/abs/2305.20050.

A transformer with one number behind every token learns, at tokens that end a step, the logit that the step is right,

    L = E_steps[ -y log sigmoid(r) - (1 - y) log sigmoid(-r) ].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.language.experience import Examples
from bellmax.language.learner import AdamW, Compute, Learned, Metrics, stepped
from bellmax.language.scored import Scored
from bellmax.language.texts import Labelled
from bellmax.language.transformer import Transformer
from bellmax.maths.reductions import evenly
from bellmax.maths.schedules import Scheduled


class ProcessRewardModel(Frozen):
    """Learn which steps are right. `texts.weight` is 1 on the tokens that end a step."""

    experience: Examples = Examples()  # what it learns from
    learning_rate: Scheduled = 1e-5  # AdamW's
    optimiser: AdamW = AdamW()  # how gradients become steps
    compute: Compute = Compute()  # precision and memory

    reads = "steps"  # what kind of rows
    judges = True  # it gives numbers, and writes nothing

    def init(self, key: Array, model: Transformer) -> Learned:
        scored = Scored(key, model)
        return Learned(scored, self.optimiser.init(scored), jnp.int32(0))

    def update(self, state: Learned, batch: Labelled, key: Array) -> tuple[Learned, Metrics]:
        share = evenly(batch.texts.weight)
        state, metrics = stepped(self, state, (batch, share))
        return state._replace(steps=state.steps + 1), metrics

    def loss(self, model: Scored, piece: tuple[Labelled, Array]) -> tuple[Array, Metrics]:
        labelled, share = piece
        logit = model(labelled.texts, dtype=jnp.dtype(self.compute.dtype), remember=self.compute.remember)
        sign = 2 * labelled.label - 1
        each = -jax.nn.log_sigmoid(sign * logit)
        terms = {"loss": each, "accuracy": (sign * logit > 0).astype(jnp.float32)}
        sums = {name: (share * term).sum() for name, term in terms.items()}
        return sums["loss"], sums
