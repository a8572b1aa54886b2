"""One way in 2^size leads to the treasure: found with a bonus for what is new, and not by chance."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import DQN, EpsilonGreedy, Replay
from bellmax.algorithms.wrappers.curious import Curious
from bellmax.bonuses import HashedCounts
from bellmax.drivers import evaluate, ingraph
from bellmax.envs.deep_sea import DeepSea
from tests.learning.quick import QUICKLY

SEEDS, SIZE, STEPS = (0, 1, 2), 12, 3_600  # 300 episodes; by chance one in 4,096 finds it
FOOD = Replay(capacity=4_000, batch=32, length=4, updates=8, start=64)
PLAIN = DQN(hidden=(32,), learning_rate=2e-3, target_every=20, exploration=EpsilonGreedy(0.1), experience=FOOD)
BLIND = PLAIN.replace(exploration=EpsilonGreedy(0.0))
COUNTING = Curious(BLIND, HashedCounts(actions=True, cells=512), weight=0.1, untried_first=True)


@functools.partial(jax.jit, compiler_options=QUICKLY)
def train(algorithm, keys):
    """Found how often in the whole run, a number a seed, and what was learned."""

    def one(key):
        run, metrics = ingraph.train(algorithm, DeepSea(SIZE), key, steps=STEPS)
        return metrics["score"].sum(), metrics["episodes"].sum(), run.state

    return jax.lax.map(one, keys)


def found_and_greedy(algorithm):
    score, episodes, states = train(algorithm, jnp.stack([jax.random.key(seed) for seed in SEEDS]))
    assert (episodes == STEPS // SIZE).all()
    one = [jax.tree.map(lambda x, k=k: x[k], states) for k in range(len(SEEDS))]
    return np.asarray(score), [
        evaluate.ingraph(algorithm, DeepSea(SIZE), state, jax.random.key(0)).mean for state in one
    ]


def test_counts_find_the_way_and_it_is_kept():
    score, greedy = found_and_greedy(COUNTING)
    assert (score > 20).all()
    assert greedy == pytest.approx([0.99] * len(SEEDS))


def test_chance_does_not_nor_do_counts_that_are_worth_nothing():
    # Without a bonus, doing first what was never done is enough for a sea of this size (for one of 20 it is not).
    for algorithm in (PLAIN, COUNTING.replace(weight=0.0, untried_first=False)):
        score, greedy = found_and_greedy(algorithm)
        assert (score < 1).all()
        assert max(greedy) <= 0
