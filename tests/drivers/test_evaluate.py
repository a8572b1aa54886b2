"""Evaluation counts every episode once, however long it is, and touches nothing."""

from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from bellmax import A2C, PPO, Box, Discrete, Normalised, RecurrentPPO, Steps
from bellmax.core import Env, Outcome, Spec
from bellmax.drivers import evaluate
from bellmax.envs.names import find

ALGORITHM = A2C(hidden=(4,))
SPEC = Spec(Box((1,)), Discrete(2))


def state_of(algorithm, spec=SPEC):
    return jax.jit(lambda key: algorithm.init(key, spec))(jax.random.key(0))


class LongOrShort(gymnasium.Env):
    """An episode is 1 step or 9, at even odds, with reward 1 a step: the mean score of whole episodes is 5."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 9 if self.np_random.random() < 0.5 else 1
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(1, np.float32), 1.0, self.left == 0, False, {}


class State(NamedTuple):
    left: jax.Array


class InGraph(Env):
    """The same in the graph."""

    endless: bool = False

    @property
    def spec(self):
        return SPEC

    def reset(self, key):
        return State(jnp.where(jax.random.bernoulli(key), 9, 1)), jnp.zeros(1)

    def step(self, env_state, action, key):
        over = (env_state.left == 1) & (not self.endless)
        return State(env_state.left - 1), Outcome(jnp.zeros(1), jnp.float32(1), 1.0 - over, over)


def test_short_episodes_are_not_favoured_on_the_host():
    envs = find(LongOrShort, vectorization="sync").vector(20, seed=0)
    found = evaluate.hosted(ALGORITHM, envs, state_of(ALGORITHM), jax.random.key(0), episodes=400)
    assert len(found.scores) == 400
    assert set(found.scores) == {1.0, 9.0}
    assert np.array_equal(found.scores, found.lengths)
    # 5 +- 4 / sqrt(400) = 0.2 a deviation; counting the first 400 to finish instead gives about 1 + 8 * 1 / 10 = 1.8,
    # since a place that draws a short episode is free again nine times as soon.
    assert abs(found.mean - 5) < 0.7


def test_the_first_to_finish_would_be_biased():
    """The negative control: the count that the fixed quota replaces."""
    envs = find(LongOrShort, vectorization="sync").vector(200, seed=0)
    envs.reset()
    scores, running = [], np.zeros(200)
    for _ in range(2):
        arrival = envs.step(np.zeros(200, np.int32))
        running += arrival.reward
        scores += list(running[arrival.last])
        running[arrival.last] = 0
    assert np.mean(scores) < 2


def test_in_the_graph_every_episode_is_played_to_its_end():
    found = evaluate.ingraph(ALGORITHM, InGraph(), state_of(ALGORITHM), jax.random.key(0), episodes=400)
    assert set(found.scores) == {1.0, 9.0}
    assert np.array_equal(found.scores, found.lengths)
    assert abs(found.mean - 5) < 0.7
    assert not found.cut.any()


def test_an_endless_episode_is_cut_and_says_so():
    found = evaluate.ingraph(
        ALGORITHM, InGraph(endless=True), state_of(ALGORITHM), jax.random.key(0), episodes=3, most_steps=50
    )
    assert found.scores.tolist() == [50.0, 50.0, 50.0]
    assert found.cut.all()


class Remember(gymnasium.Env):
    """Shows the episode's number at its first step, and pays what it was at the last: memories must not leak."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.ones(1, np.float32), {}

    def step(self, action):
        self.time += 1
        return np.zeros(1, np.float32), float(action), self.time == 3, False, {}


def test_memories_begin_anew_with_every_episode():
    algorithm = RecurrentPPO(hidden=(4,), memory_size=4, experience=Steps(4))
    envs = find(Remember, vectorization="sync").vector(2, seed=0)
    found = evaluate.hosted(algorithm, envs, state_of(algorithm), jax.random.key(0), episodes=8)
    assert len(set(found.scores)) == 1, "a greedy policy plays equal episodes equally"


def test_greedy_and_sampled_differ_and_a_normaliser_stands_still():
    algorithm = Normalised(PPO(hidden=(4,)))
    state = state_of(algorithm)
    before = [np.asarray(x).copy() for x in jax.tree.leaves(state)]
    envs = find(Remember, vectorization="sync").vector(2, seed=0)
    greedy, sampled = (
        evaluate.hosted(algorithm, envs, state, jax.random.key(1), episodes=20, greedy=choice).scores
        for choice in (True, False)
    )
    assert len(set(greedy)) == 1
    assert len(set(sampled)) > 1
    assert all(np.array_equal(x, y) for x, y in zip(before, jax.tree.leaves(state)))
