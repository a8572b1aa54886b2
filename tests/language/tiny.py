"""Models small enough to be compiled in a moment, with weights that hide nothing: no bias is 0, no norm is 1."""

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.language.config import ModelConfig
from bellmax.language.scored import Scored
from bellmax.language.texts import Answers, Labelled, Pairs, Texts
from bellmax.language.transformer import Transformer
from bellmax.language.weights import skeleton

VOCABULARY = 20
LLAMA = ModelConfig(VOCABULARY, width=16, layers=1, heads=4, key_heads=2, hidden=24)
WINDOW = ModelConfig(VOCABULARY, width=16, layers=1, heads=4, key_heads=2, hidden=24, window=3)
GPT2 = ModelConfig(
    VOCABULARY,
    width=16,
    layers=1,
    heads=2,
    max_positions=40,
    norm="layer",
    activation="gelu_tanh",
    gated=False,
    rope=None,
    query_bias=True,
    output_bias=True,
    hidden_bias=True,
)


def with_random_weights(skeleton, seed=0):
    """Matrices have logits of size 1 or so; vectors are near 1 where they multiply, near 0 where they are added."""
    draw = np.random.default_rng(seed)

    def made(path, x):
        name = jax.tree_util.keystr(path)
        if x.ndim == 1:
            return np.float32(0.2 * draw.normal(size=x.shape) + ("norm" in name and "weight" in name))
        return np.float32(draw.normal(size=x.shape) * (0.5 if "embedding" in name else x.shape[0] ** -0.5))

    return jax.tree.map(jnp.asarray, jax.tree_util.tree_map_with_path(made, skeleton))


def model(config=LLAMA, seed=0):
    return with_random_weights(skeleton(config), seed)


def critic(config=LLAMA, seed=1):
    def made(key):
        return Scored(key, Transformer(key, config))

    return with_random_weights(jax.eval_shape(made, jax.random.key(0)), seed)


def rows(seed=0, count=4, prompt=(1, 4), answer=(1, 5)):
    """[(prompt, answer), ...], lists of tokens: at least one of each, of different lengths."""
    draw = np.random.default_rng(seed)

    def some(low, high):
        return draw.integers(1, VOCABULARY, draw.integers(low, high + 1)).tolist()

    return [(some(*prompt), some(*answer)) for _ in range(count)]


def texts(rows, before=0, after=0, left=False):
    """Rows [batch, time] with at least so much padding before and behind; what padding holds must not matter."""
    longest = max(len(prompt) + len(answer) for prompt, answer in rows)
    time = before + longest + after
    tokens, segments = np.full((len(rows), time), 3), np.zeros((len(rows), time), int)
    weight = np.zeros((len(rows), time), np.float32)
    for row, (prompt, answer) in enumerate(rows):
        length = len(prompt) + len(answer)
        start = before + (longest - length if left else 0)
        tokens[row, start : start + length] = prompt + answer
        segments[row, start : start + length] = 1
        weight[row, start + len(prompt) : start + length] = 1
    return Texts(tokens, segments, weight)


def pairs(seed=0, count=4, **padding):
    """Two answers to each prompt; the margin is not 0."""
    draw = np.random.default_rng(seed)
    chosen, other = rows(seed, count), rows(seed + 1, count)
    rejected = [(prompt, answer) for (prompt, _), (_, answer) in zip(chosen, other)]
    margin = np.float32(draw.random(count))
    return Pairs(texts(chosen, **padding), texts(rejected, **padding), margin)


def answers(seed=0, count=4, log_prob=None, **padding):
    """Answers with made-up rewards and log-probabilities, the same ones whatever the padding."""
    draw = np.random.default_rng(seed + 100)
    written = texts(rows(seed, count), **padding)
    reward, ended = np.float32(draw.normal(size=count)), draw.random(count) < 0.5
    said = np.zeros(written.weight.shape, np.float32)
    said[written.weight > 0] = -3 + 0.7 * draw.normal(size=int(written.weight.sum()))
    return Answers(written, said if log_prob is None else log_prob, reward, ended)


def labelled(seed=0, count=4, **padding):
    draw = np.random.default_rng(seed + 200)
    label = np.float32(draw.random(count) < 0.5)
    label[:2] = 1, 0
    return Labelled(texts(rows(seed, count), **padding), label)
