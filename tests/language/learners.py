"""Every learner of language models with a batch for it: what tests of them all go through."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from bellmax.algorithms.language.dpo import DPO
from bellmax.algorithms.language.grpo import GRPO
from bellmax.algorithms.language.gspo import GSPO
from bellmax.algorithms.language.kto import KTO, Unpaired
from bellmax.algorithms.language.orpo import ORPO
from bellmax.algorithms.language.ppo_lm import PPOLM
from bellmax.algorithms.language.process_reward_model import ProcessRewardModel
from bellmax.algorithms.language.reward_model import RewardModel
from bellmax.algorithms.language.rloo import RLOO
from bellmax.algorithms.language.sft import SFT
from bellmax.algorithms.language.simpo import SimPO
from bellmax.language.experience import Completions
from bellmax.language.learner import AdamW
from bellmax.language.log_probs import token_scores
from bellmax.language.sampler import Sampling
from tests.language import tiny

FOOD = Completions(prompts=2, group=2, sampling=Sampling(max_tokens=6, temperature=0.7))
ALONE = FOOD.replace(prompts=4, group=1)
# With epsilon = 1 a step is g / (|g| + 1): it shows the gradient, small ones too, instead of its sign.
HOW: dict[str, Any] = {"learning_rate": 0.5, "optimiser": AdamW(epsilon=1.0, max_grad_norm=1e9)}
ONCE = HOW | {"experience": FOOD, "minibatches": 1}


@dataclasses.dataclass(frozen=True)
class Case:
    """A learner, and what makes its batch, with padding as it is told."""

    algorithm: Any
    batch: Callable[..., Any]
    scored: bool = False


def unpaired(**padding):
    return Unpaired(tiny.labelled(**padding), tiny.texts(tiny.rows(9), **padding))


def steps(**padding):
    """Labels of steps: at every other token of the answers; elsewhere there is anything."""
    labelled = tiny.labelled(**padding)
    weight = labelled.texts.weight * (np.cumsum(labelled.texts.weight, axis=1) % 2 == 1)
    label = np.full(weight.shape, 0.5, np.float32)
    label[weight > 0] = np.random.default_rng(0).random(int(weight.sum())) < 0.5
    return labelled._replace(texts=labelled.texts._replace(weight=weight), label=label)


def written(**padding):
    return tiny.texts(tiny.rows(), **padding)


scores_of = jax.jit(token_scores)


def rewarded(**padding):
    """Answers that were written by something near the model: ratios are about 1."""
    batch = tiny.answers(**padding)
    log_prob = np.array(scores_of(tiny.model(), batch.texts.tokens, batch.texts.segments, temperature=0.7).log_prob)
    there = batch.texts.weight > 0
    log_prob[there] += 0.1 * np.random.default_rng(0).normal(size=int(there.sum()))
    return batch._replace(log_prob=log_prob * there)


CASES = {
    "SFT": Case(SFT(**HOW), written),
    "RewardModel": Case(RewardModel(**HOW), tiny.pairs, scored=True),
    "ProcessRewardModel": Case(ProcessRewardModel(**HOW), steps, scored=True),
    "DPO": Case(DPO(beta=0.5, **HOW), tiny.pairs),
    "conservative DPO": Case(DPO(beta=0.5, smoothing=0.2, **HOW), tiny.pairs),
    "IPO": Case(DPO(form="ipo", **HOW), tiny.pairs),
    "ORPO": Case(ORPO(**HOW), tiny.pairs),
    "SimPO": Case(SimPO(**HOW), tiny.pairs),
    "KTO": Case(KTO(beta=0.5, **HOW), unpaired),
    "GRPO": Case(GRPO(**ONCE), rewarded),
    "DAPO": Case(GRPO(reduction="dapo", clip_high=0.3, kl_weight=None, **ONCE), rewarded),
    "Dr. GRPO": Case(GRPO(reduction="dr-grpo", standardised=False, kl="k2", **ONCE), rewarded),
    "GSPO": Case(GSPO(clip=0.2, clip_high=0.3, **ONCE), rewarded),
    "RLOO": Case(RLOO(**ONCE), rewarded),
    "REINFORCE": Case(RLOO(**ONCE | {"experience": ALONE}), rewarded),
    "PPO": Case(PPOLM(**ONCE | {"experience": ALONE, "epochs": 1, "target_kl": 1.0}), rewarded),
}


def begun(case, model=None):
    """The learner's state, its critic with weights that hide nothing."""
    model = tiny.model() if model is None else model
    if isinstance(case.algorithm, PPOLM):
        return case.algorithm.init(jax.random.key(0), model, tiny.critic())
    state = case.algorithm.init(jax.random.key(0), model)
    return state._replace(model=tiny.critic()) if case.scored else state
