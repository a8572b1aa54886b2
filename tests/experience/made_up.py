"""Steps that say where they come from, and the slow way of keeping them: a list for every environment."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import chi2

from bellmax.core import Transition
from tests.learning.quick import QUICKLY

quick = functools.partial(jax.jit, compiler_options=QUICKLY)


def numbered(seed, rounds, length, num_envs, ends=0.15, padding=0.0):
    """Rounds of steps [length, env] of random episodes. Observation 1000 env + t, the next one half a step on."""
    draw = np.random.default_rng(seed)
    for i in range(rounds):
        rows = (length, num_envs)
        terminated, cut = draw.random((2, *rows)) < ends / 2
        time = np.arange(i * length, (i + 1) * length)[:, None]
        obs = np.float32(1000 * np.arange(num_envs) + time)
        yield Transition(
            obs, np.int32(obs), np.float32(draw.normal(size=rows)), np.float32(~terminated), terminated | cut,
            obs + np.float32(0.5), {}, np.float32(draw.random(rows) >= padding),
        )  # fmt: skip


def example(fresh):
    """One step of it as shapes."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), fresh)


def filled(experience, rounds):
    """A buffer with all of these rounds in it -> buffer, the last round."""
    rounds = list(rounds)
    buffer = experience.empty(example(rounds[0]), rounds[0].reward.shape[1])
    add = quick(experience.add, donate_argnums=0)
    for fresh in rounds:
        buffer = add(buffer, fresh)
    return buffer, rounds[-1]


class Kept(NamedTuple):
    """Everything that was ever collected, [time, env, ...]."""

    steps: Transition

    def window(self, t, env, n):
        """n steps from time t on."""
        return jax.tree.map(lambda x: np.asarray(x)[t : t + n, env], self.steps)


def kept(rounds):
    return Kept(jax.tree.map(lambda *x: np.concatenate(x), *rounds))


def times(batch):
    """Of every sample: the time and the environment of its first step, [batch] each."""
    obs = np.asarray(jax.tree.leaves(batch.obs)[0])[0]
    return np.int64(obs) % 1000, np.int64(obs) // 1000


def is_from(counts, probability, doubt=1e-6):
    """Pearson's chi-square test: may these counts have been drawn with these probabilities?"""
    counts, probability = np.ravel(counts), np.ravel(probability)
    if counts[probability == 0].any():
        return False
    expected = counts.sum() * probability[probability > 0]
    assert expected.min() > 5, "too few draws for the test"
    statistic = ((counts[probability > 0] - expected) ** 2 / expected).sum()
    return bool(statistic < chi2.isf(doubt, len(expected) - 1))


def drawn(experience, buffer, fresh, batches, seed=0) -> Any:
    """Many batches, one behind the other: [n, batches * batch]."""
    keys = jax.random.split(jax.random.key(seed), batches)
    many = quick(jax.vmap(lambda buffer, key: experience.sample(buffer, fresh, key), (None, 0)))(buffer, keys)
    return jax.tree.map(lambda x: np.asarray(jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1, *x.shape[3:])), many)
