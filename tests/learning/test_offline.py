"""Learning from steps of somebody who did anything at all: better than they did, which cloning them is not.

Random actions tell what each is worth; a clone does what was done on average. And a time limit is no end of the world.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import BC, CQL, IQL, TD3BC, Dataset, DiscreteCQL
from bellmax.core import Spec, Transition
from bellmax.drivers import evaluate, offline
from bellmax.drivers.fleet import stack, unstack
from bellmax.envs.probes import MatchingReward, Target, TimeLimitChain
from bellmax.experience import log
from bellmax.maths.schedules import Linear
from bellmax.spaces import Box, Discrete, sample
from tests.experience.made_up import quick

SEEDS, COUNT = (0, 1, 2), 2000
SMALL = {"hidden": (32,), "experience": Dataset(batch=64), "learning_rate": 3e-3}
VALUED = SMALL | {"gamma": 0.9, "critic_learning_rate": 3e-3}
SURE = {"tau": 0.05}
LEARNERS = {
    "bc": BC(**SMALL),
    "iql": IQL(**VALUED, beta=10.0, expectile=0.9, target_rate=0.05),
    "td3-bc": TD3BC(**VALUED, **SURE, alpha=20.0),
    "cql": CQL(**VALUED, **SURE, alpha=0.1, samples=4),
}


def logged(env, shuffled=False):
    """Steps of nobody's policy. `shuffled`: rewards that say nothing."""
    keys = jax.random.split(jax.random.key(9), (3, COUNT))
    env_state, obs = jax.vmap(env.reset)(keys[0])
    action = jax.vmap(functools.partial(sample, env.spec.action))(keys[1])
    _, now = jax.vmap(env.step)(env_state, action, keys[2])
    reward = np.random.default_rng(0).permutation(now.reward) if shuffled else now.reward
    steps = Transition(obs, action, reward, now.discount, now.last, now.obs, {}, jnp.ones(COUNT))
    return log(jax.tree.map(np.asarray, steps))


@functools.cache
def trainer(algorithm, env, updates):
    def all_seeds(data, keys):
        one = lambda key: offline.train(algorithm, data, env.spec, key, updates=updates)[0].state
        return jax.lax.map(one, keys)

    return quick(all_seeds)


def trained(algorithm, env, data, updates=800):
    """States after so many updates, one a seed; one compilation for all data."""
    return unstack(trainer(algorithm, env, updates)(data, stack([jax.random.key(seed) for seed in SEEDS])), len(SEEDS))


def score(algorithm, env, state):
    return evaluate.ingraph(algorithm, env, state, jax.random.key(7), episodes=200).mean


@pytest.mark.parametrize("name", LEARNERS)
def test_numbers(name):
    """The action is to be -1.5 times what is seen: 0 at best; always 0, as they did on average, is -0.75."""
    algorithm, env = LEARNERS[name], Target()
    scores = [score(algorithm, env, state) for state in trained(algorithm, env, logged(env))]
    if name == "bc":
        assert max(scores) < -0.6, "the control: what was done says nothing about what should be"
    else:
        assert min(scores) > -0.15


def test_numbers_need_true_rewards():
    env, algorithm = Target(), LEARNERS["iql"]
    assert max(score(algorithm, env, state) for state in trained(algorithm, env, logged(env, shuffled=True))) < -0.4


def test_choices():
    """1 where the choice matches what is seen, else -1."""
    env = MatchingReward()
    scores = {
        name: [score(LEARNERS[name], env, state) for state in trained(LEARNERS[name], env, logged(env), 400)]
        for name in ("bc", "iql")
    }
    assert min(scores["iql"]) == 1.0
    assert min(scores["bc"]) < 0.9, "the control"


@pytest.mark.parametrize(("cut_is_end", "worth"), [(False, 10.0), (True, 1 / (1 - 0.9 * 0.9))])
def test_a_time_limit_is_no_termination(cut_is_end, worth):
    """1 + 0.9 + ... = 10 behind any step; V = 1 + 0.81 V = 5.26 if every tenth step were the end."""
    last = np.arange(200) % 10 == 9
    discount = np.float32(~last) if cut_is_end else np.ones(200, np.float32)
    obs, ones, action = np.zeros((200, 1), np.float32), np.ones(200, np.float32), np.zeros(200, np.int32)
    data = log(Transition(obs, action, ones, discount, last, obs, {}, ones))
    algorithm = LEARNERS["iql"].replace(expectile=0.5, target_rate=0.5, critic_learning_rate=Linear(0.03, 1e-4, 2500))
    for state in trained(algorithm, TimeLimitChain(), data, 2500):
        assert float(state.value(jnp.zeros(1))) == pytest.approx(worth, abs=0.5)


@functools.cache
def conserving():
    """What discrete CQL holds of three choices of which the data lack the last: alpha -> Q [seed, obs, choice]."""
    count, draw = 400, np.random.default_rng(0)
    obs, ones = np.float32(draw.uniform(-1, 1, (count, 2))), np.ones(count, np.float32)
    last = np.arange(count) % 10 == 9  # time limits: it goes on for ever
    data = log(Transition(obs, draw.integers(2, size=count, dtype=np.int32), -ones, ones, last, obs[::-1], {}, ones))
    spec, seeds = Spec(Box((2,)), Discrete(3)), stack([jax.random.key(seed) for seed in SEEDS])

    @quick
    def held(alpha):
        cql = DiscreteCQL(hidden=(32,), experience=Dataset(batch=64), gamma=0.9, learning_rate=0.01,
                          target_every=1, target_rate=0.05).replace(alpha=alpha)  # fmt: skip
        one = lambda key: jax.vmap(offline.train(cql, data, spec, key, updates=800)[0].state.network)(obs)
        return jax.lax.map(one, seeds)

    return held


def test_a_choice_that_is_not_in_the_data_is_not_overrated():
    """-1 for ever is worth -10. Nobody has seen the third choice: by hand, where it is not mistrusted its value is made
    up, near 0 as networks begin, and whatever leads to it is worth more than it is."""
    conserved, made_up = (np.asarray(conserving()(jnp.float32(alpha))) for alpha in (1.0, 0.0))
    assert (conserved.argmax(-1) < 2).all()
    np.testing.assert_allclose(conserved.max(-1).mean(1), -10, atol=1)
    assert (made_up.argmax(-1) == 2).mean() > 0.9, "the control"
    assert made_up.max(-1).mean(1).min() > -6, "the control overrates it"
