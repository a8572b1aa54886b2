"""What the language papers' updates are made of, in NumPy and float64: losses by loops over tokens, steps by hand.

A loss is written once, as its paper has it, of log-probabilities that are given. Its slopes are finite differences, so
that nobody differentiates it by hand or by the library's means; the model only turns slopes by log-probabilities into
slopes by weights.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tests.paper.by_hand import by_name


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def written(texts):
    """The places of each row's tokens that count: [[time, ...], ...]."""
    return [[time for time, w in enumerate(row) if w > 0] for row in np.asarray(texts.weight)]


# --- what a model says ------------------------------------------------------------------------------------------------


@jax.jit
def log_softmax_of_all(model, texts, temperature):
    """log p of each token [batch, time] under the full softmax; of the first, 0."""
    logits = model.logits(model(texts.tokens, texts.segments)) / temperature
    log_prob = logits - jnp.log(jnp.exp(logits).sum(-1, keepdims=True))
    chosen = (jax.nn.one_hot(texts.tokens[:, 1:], logits.shape[-1]) * log_prob[:, :-1]).sum(-1)
    entropy = -(jnp.exp(log_prob) * log_prob).sum(-1)[:, :-1]
    nothing = jnp.zeros_like(chosen[:, :1])
    return jnp.concatenate([nothing, chosen], 1), jnp.concatenate([nothing, entropy], 1)


@jax.jit
def weights_by_log_prob(model, texts, temperature, slope):
    """d loss / d weights, given `slope` = d loss / d log p."""
    return jax.grad(lambda model: (log_softmax_of_all(model, texts, temperature)[0] * slope).sum())(model)


@jax.jit
def said_of_all(critic, texts):
    """The number behind each token [batch, time]."""
    known = critic.model(texts.tokens, texts.segments)
    return jnp.einsum("btw,w->bt", known, critic.score.weight[:, 0]) + critic.score.bias[0]


@jax.jit
def weights_by_said(critic, texts, slope):
    return jax.grad(lambda critic: (said_of_all(critic, texts) * slope).sum())(critic)


def log_probs(model, texts, temperature=1.0):
    return np.asarray(log_softmax_of_all(model, texts, temperature)[0], np.float64)


def entropies(model, texts, temperature=1.0):
    return np.asarray(log_softmax_of_all(model, texts, temperature)[1], np.float64)


def said(critic, texts):
    return np.asarray(said_of_all(critic, texts), np.float64)


def slopes(loss, x, places, small=1e-5):
    """d loss(x) / d x at `places`, [[time, ...], ...], by central differences; 0 elsewhere."""
    slope = np.zeros_like(x)
    for row, times in enumerate(places):
        for time in times:
            up, down = x.copy(), x.copy()
            up[row, time] += small
            down[row, time] -= small
            slope[row, time] = (loss(up) - loss(down)) / (2 * small)
    return slope


def added(*grads):
    """Gradients by name, summed."""
    total = by_name(grads[0])
    for more in grads[1:]:
        for name, x in by_name(more).items():
            total[name] = total[name] + x
    return total


# --- steps ------------------------------------------------------------------------------------------------------------


class Settings(NamedTuple):
    b1: float = 0.8
    b2: float = 0.9
    epsilon: float = 1e-3
    decay: float = 0.1
    max_grad_norm: float = 0.5


SETTINGS = Settings()


class SlowAdamW:
    """Loshchilov & Hutter, 2019, algorithm 2, on a gradient that was shortened; matrices decay, vectors do not."""

    def __init__(self, model):
        self.m = {name: np.zeros_like(x) for name, x in by_name(model).items()}
        self.v = {name: np.zeros_like(x) for name, x in by_name(model).items()}
        self.t = 0

    def step(self, model, grads, rate, s=SETTINGS):
        """-> the new model, the gradient's length."""
        self.t += 1
        params, new = by_name(model), {}
        length = np.sqrt(sum((g**2).sum() for g in grads.values()))
        for name, g in grads.items():
            g = g * s.max_grad_norm / max(length, s.max_grad_norm)
            self.m[name] = s.b1 * self.m[name] + (1 - s.b1) * g
            self.v[name] = s.b2 * self.v[name] + (1 - s.b2) * g**2
            m_hat, v_hat = self.m[name] / (1 - s.b1**self.t), self.v[name] / (1 - s.b2**self.t)
            decay = s.decay * params[name] if g.ndim > 1 else 0.0
            new[name] = params[name] - rate * (m_hat / (np.sqrt(v_hat) + s.epsilon) + decay)
        return jax.tree.unflatten(jax.tree.structure(model), [np.float32(x) for x in new.values()]), length


def assert_same_model(got, expected, absolute=2e-5):
    got, expected = by_name(got), by_name(expected)
    assert set(got) == set(expected)
    for name, x in expected.items():
        np.testing.assert_allclose(got[name], x, atol=absolute, err_msg=name)
