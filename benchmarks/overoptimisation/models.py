"""The policy before, its answers, preferences of the gold reward, and reward models that learn from those."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import bellmax as bm
from bellmax.algorithms.language.reward_model import RewardModel
from bellmax.algorithms.language.sft import SFT
from bellmax.language.config import ModelConfig
from bellmax.language.experience import Examples
from bellmax.language.model_rewards import ModelReward
from bellmax.language.sampler import Prompts, Sampling, sample
from bellmax.language.scored import Scored
from bellmax.language.texts import Pairs, Texts, answers
from bellmax.language.transformer import Transformer
from bellmax.maths.schedules import Linear
from benchmarks.overoptimisation.gold import EQUALS, FIRST, KINDS, LENGTH, TOKENISER, TRAINED, Gold, people, rows

VOCABULARY = FIRST + KINDS
POLICY = ModelConfig(VOCABULARY, width=64, layers=2, heads=4, max_positions=32)
SIZES = {
    "small": ModelConfig(VOCABULARY, width=4, layers=1, heads=1, hidden=4, max_positions=32),
    "medium": ModelConfig(VOCABULARY, width=8, layers=1, heads=1, hidden=16, max_positions=32),
    "large": ModelConfig(VOCABULARY, width=32, layers=2, heads=2, hidden=64, max_positions=32),
}
SAMPLING = Sampling(max_tokens=LENGTH + 1)  # the letters, and the token that ends them
STOPS = jnp.asarray(TOKENISER.stops, jnp.int32)
AT_ONCE = 8192  # rows that go through a model together


class Effort(NamedTuple):
    """How much of everything; what a rehearsal makes less of."""

    examples: int = 16_384  # that the policy before is shown
    shown: int = 400  # updates of 128 examples
    pairs: int = 32_768  # that the reward models learn from
    steps: int = 600  # updates of 256 pairs
    pool: int = 1024  # answers to each held-out prompt
    updates: int = 60  # of PPO, 256 answers each


def policy_before(effort: Effort) -> Transformer:
    """Supervised training on what people write."""
    rng = np.random.default_rng(3)
    prompts = TRAINED[rng.integers(len(TRAINED), size=effort.examples)]
    learner = SFT(experience=Examples(batch=128, length=16), learning_rate=Linear(2e-3, 0.0, float(effort.shown)))
    shown = rows(prompts, people(rng, prompts))
    return bm.align(
        learner, POLICY, shown, tokeniser=TOKENISER, steps=effort.shown, run_folder=None, display="quiet"
    ).model


def written(policy: Transformer, prompts: np.ndarray, key: Array) -> Texts:
    """One answer to each prompt [n, 2], as `Texts` in NumPy."""
    parts = []
    for start in range(0, len(prompts), AT_ONCE):
        key, now = jax.random.split(key)
        parts.append(_written(policy, jnp.asarray(prompts[start : start + AT_ONCE]), now))
    return Texts(*(np.concatenate(several) for several in zip(*parts)))


@jax.jit
def _written(policy: Transformer, prompts: Array, key: Array) -> Texts:
    tokens = jnp.pad(prompts + FIRST, ((0, 0), (0, 1)), constant_values=EQUALS).astype(jnp.int32)
    asked = Prompts(tokens, jnp.ones_like(tokens))
    said = sample(policy, asked, jax.random.split(key, len(prompts)), STOPS, SAMPLING)
    return answers(asked, said, jnp.zeros(len(prompts))).texts


def preferences(gold: Gold, policy: Transformer, count: int, seed: int) -> Pairs:
    """Pairs of the policy's answers to prompts to train on; which is better is drawn by Bradley and Terry."""
    rng = np.random.default_rng([seed, 4])
    prompts = TRAINED[rng.integers(len(TRAINED), size=count)]
    keys = jax.random.split(jax.random.key(seed), 2)
    return labelled(gold, *(written(policy, prompts, key) for key in keys), rng)


def labelled(gold: Gold, one: Texts, other: Texts, rng: np.random.Generator) -> Pairs:
    """The first is chosen with probability sigmoid(gold of one - gold of other): labels are noisy."""
    wins = rng.random(len(one.tokens)) < 1 / (1 + np.exp(gold(other) - gold(one)))
    chosen = Texts(*(np.where(wins[:, None], x, y) for x, y in zip(one, other)))
    rejected = Texts(*(np.where(wins[:, None], y, x) for x, y in zip(one, other)))
    return Pairs(chosen, rejected, np.zeros(len(wins), np.float32))


def joined(one: Pairs, other: Pairs) -> Pairs:
    """All pairs of both."""
    return jax.tree.map(lambda x, y: np.concatenate([x, y]), one, other)


def repeated(pairs: Pairs, times: int) -> Pairs:
    """The pairs several times over: they then count more."""
    return jax.tree.map(lambda x: np.concatenate([x] * times), pairs)


def reward_model(size: str, pairs: Pairs, seed: int, effort: Effort) -> ModelReward:
    """A reward model that has learned from the pairs."""
    return ModelReward(_trained(SIZES[size], effort.steps, pairs, jax.random.key(seed)))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _trained(config: ModelConfig, steps: int, pairs: Pairs, key: Array) -> Scored:
    learner = RewardModel(learning_rate=Linear(3e-3, 0.0, float(steps)))
    model_key, start_key, order_key = jax.random.split(key, 3)

    def step(state: Any, key: Array) -> tuple[Any, None]:
        chosen = jax.random.randint(key, (256,), 0, len(pairs.margin))
        return learner.update(state, jax.tree.map(lambda x: x[chosen], pairs), key)[0], None

    begun = learner.init(start_key, Transformer(model_key, config))
    return jax.lax.scan(step, begun, jax.random.split(order_key, steps))[0].model


def judged(reward: Any, texts: Texts) -> np.ndarray:
    """What a reward says of many texts, some at once."""
    starts = range(0, len(texts.tokens), AT_ONCE)
    return np.concatenate([reward(Texts(*(x[start : start + AT_ONCE] for x in texts))) for start in starts])
