"""A small model, a small task, and each learner with settings to match."""

import jax

import bellmax as bm
from bellmax.language.tasks import find_task
from bellmax.language.transformer import Transformer

TASK = "copy"  # a name: a run's folder says it, and finds it again
TOKENISER = bm.Tokeniser.characters(find_task(TASK).alphabet)
SHAPE = bm.ModelConfig(TOKENISER.vocabulary, width=16, layers=1, heads=2, max_positions=64)
WRITTEN = bm.Completions(prompts=4, group=2, sampling=bm.Sampling(max_tokens=6))
PAIRS = bm.Preferences(batch=4, length=32)
SETTINGS = {
    "sft": bm.SFT(experience=bm.Examples(batch=4, length=32), learning_rate=1e-2),
    "reward": bm.RewardModel(experience=PAIRS, learning_rate=1e-2),
    "dpo": bm.DPO(experience=PAIRS, learning_rate=1e-3),
    "grpo": bm.GRPO(experience=WRITTEN, learning_rate=1e-2),
    "ppo-lm": bm.PPOLM(experience=WRITTEN, learning_rate=1e-2, critic_learning_rate=1e-2, epochs=2, minibatches=2),
}
KEPT_QUIET = {"display": "quiet", "track": ()}


def small_model():
    """New weights."""
    return SHAPE


def made_model(seed=0):
    """A model that is there already."""
    return jax.jit(Transformer, static_argnums=1)(jax.random.key(seed), SHAPE)


def every_e(prompt, completion, row):
    """How many of the answer's characters are an e: something small models soon learn to write."""
    return completion.count("e") / 6
