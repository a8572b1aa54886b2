"""Bandit problems pay what they say, drift as they should, and never end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs.bandit_adversarial import AdversarialBandit
from bellmax.envs.bandit_contextual import ContextualBandit
from bellmax.envs.bandits import BernoulliBandit, DriftingBandit, GaussianBandit

KEY = jax.random.key(0)
ENVS = [GaussianBandit(), BernoulliBandit(), DriftingBandit(), ContextualBandit(), AdversarialBandit()]


def resets(env, n=2000):
    return jax.jit(jax.vmap(env.reset))(jax.random.split(KEY, n))


@pytest.mark.parametrize("env", ENVS, ids=lambda env: type(env).__name__)
def test_a_pull_has_no_future_and_the_problem_goes_on(env):
    state, obs = env.reset(KEY)
    after, outcome = jax.jit(env.step)(state, jnp.int32(1), KEY)
    assert (float(outcome.discount), bool(outcome.last)) == (0.0, False)
    assert (outcome.reward.dtype, outcome.discount.dtype, outcome.last.dtype) == (jnp.float32, jnp.float32, bool)
    assert (outcome.obs.shape, outcome.obs.dtype) == (obs.shape, obs.dtype)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(after)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert env.means(state, obs).shape == (env.spec.action.n,)


@pytest.mark.parametrize("env", ENVS[:4], ids=lambda env: type(env).__name__)
def test_an_arm_pays_its_mean_on_average(env):
    state, obs = env.reset(KEY)
    keys = jax.random.split(KEY, 20_000)
    pull = jax.jit(jax.vmap(lambda arm, key: env.step(state, arm, key)[1].reward, (None, 0)))
    for arm in (0, 3, 9):
        reward = pull(jnp.int32(arm), keys)
        assert abs(reward.mean() - env.means(state, obs)[arm]) < 4.5 * reward.std() / np.sqrt(len(keys))


def test_gaussian_problems_and_noise():
    env = GaussianBandit(arms=4, mean=3.0, spread=2.0, noise=0.5)
    means = np.asarray(resets(env)[0].means)
    assert means.mean() == pytest.approx(3, abs=4 * 2 / np.sqrt(means.size))
    assert means.std() == pytest.approx(2, rel=0.05)
    state, _ = env.reset(KEY)
    reward = jax.vmap(lambda key: env.step(state, jnp.int32(2), key)[1].reward)(jax.random.split(KEY, 20_000))
    assert reward.std() == pytest.approx(0.5, rel=0.02)
    cubed = ((reward - reward.mean()) / reward.std()) ** 3
    assert abs(cubed.mean()) < 4.5 * np.sqrt(15 / len(reward))  # as even as a normal distribution


def test_coins_are_given_or_drawn():
    given = BernoulliBandit(probabilities=(0.2, 0.9))
    assert given.spec.action.n == 2
    np.testing.assert_array_equal(given.means(*given.reset(KEY)), np.float32([0.2, 0.9]))
    drawn = np.asarray(resets(BernoulliBandit(arms=3))[0].means)
    assert drawn.shape == (2000, 3)
    assert abs(drawn.mean() - 0.5) < 4 * np.sqrt(1 / 12 / drawn.size)
    assert drawn.std() == pytest.approx(np.sqrt(1 / 12), rel=0.05)
    state, _ = given.reset(KEY)
    paid = jax.vmap(lambda key: given.step(state, jnp.int32(0), key)[1].reward)(jax.random.split(KEY, 1000))
    assert set(np.unique(paid)) == {0, 1}
    with pytest.raises(ValueError, match=r"BernoulliBandit.probabilities = \(0.5, 1.5\)"):
        BernoulliBandit(probabilities=(0.5, 1.5))


def test_drift_is_a_random_walk():
    env = DriftingBandit(arms=5, mean=1.0, step_size=0.1)
    steps = 50
    states, _ = resets(env)
    np.testing.assert_array_equal(states.means, 1)

    def walk(state, key):
        keys = jax.random.split(key, steps)
        return jax.lax.scan(lambda state, key: (env.step(state, jnp.int32(0), key)[0], None), state, keys)[0]

    means = np.asarray(jax.jit(jax.vmap(walk))(states, jax.random.split(KEY, 2000)).means)
    assert means.std() == pytest.approx(0.1 * np.sqrt(steps), rel=0.03)
    assert means.mean() == pytest.approx(1, abs=4 * means.std() / np.sqrt(means.size))
    assert np.abs(np.corrcoef(means.T) - np.eye(5)).max() < 0.1  # arms walk apart
    after, outcome = jax.vmap(env.step, (0, None, 0))(states, jnp.int32(0), jax.random.split(KEY, 2000))
    noise = np.corrcoef(outcome.reward, np.asarray(after.means).T)[0, 1:]
    assert np.abs(noise).max() < 0.1  # and apart from the noise


def test_contexts_are_fresh_and_of_length_1():
    env = ContextualBandit(arms=3, features=4)
    states, obs = resets(env)
    np.testing.assert_allclose(jnp.linalg.norm(obs, axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(jnp.linalg.norm(states.weights, axis=-1), 1, rtol=1e-5)
    keys = jax.random.split(jax.random.key(1), 2000)
    after, outcome = jax.vmap(env.step, (0, None, 0))(states, jnp.int32(0), keys)
    np.testing.assert_array_equal(outcome.obs, after.context)
    np.testing.assert_array_equal(after.weights, states.weights)
    assert abs(float((outcome.obs * obs).sum(-1).mean())) < 4 / np.sqrt(4 * 2000)  # nothing to do with the one before
    np.testing.assert_allclose(np.cov(outcome.obs.T), np.eye(4) / 4, atol=0.03)
    by_hand = [states.weights[7, arm] @ obs[7] for arm in range(3)]
    np.testing.assert_allclose(jax.tree.map(lambda x: x[7], states).weights @ obs[7], by_hand, rtol=1e-5)
    np.testing.assert_allclose(env.means(jax.tree.map(lambda x: x[7], states), obs[7]), by_hand, rtol=1e-5, atol=1e-6)


def test_the_trap_closes_at_its_time():
    env = AdversarialBandit(arms=4, switch=3, bait=0.25)
    states, _ = resets(env)
    assert bool((states.bait != states.prize).all())
    for arm in (states.bait, states.prize):
        np.testing.assert_allclose(np.bincount(arm, minlength=4) / 2000, 0.25, atol=0.05)
    state, _ = env.reset(KEY)
    paid = []
    for _ in range(5):
        row = np.asarray(env.means(state, 0))
        paid.append((row[state.bait], row[state.prize], row.sum()))
        _, outcome = env.step(state, state.bait, KEY)
        assert float(outcome.reward) == row[state.bait]  # no noise
        state, _ = env.step(state, state.prize, KEY)
    assert paid == [(1, 0, 1)] * 3 + [(0.25, 1, 1.25)] * 2
