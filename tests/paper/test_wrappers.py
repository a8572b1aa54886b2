"""The wrappers over several batches: statistics of all seen so far, taken anew each time from a list in NumPy."""

import jax
import numpy as np

from bellmax import A2C, PPO, Box, Discrete, Normalised, ScaledRewards, Spec, Steps
from bellmax.algorithms.wrappers import normalised, scaled_rewards
from bellmax.maths.statistics import no_moments
from tests.paper import test_a2c, test_ppo
from tests.paper.by_hand import Adam, RMSprop, assert_same, begun, by_name, quickly, random_batch

SPEC = Spec(Box((3,)), Discrete(3), 4)
SETTINGS = {"experience": Steps(7), "hidden": (5, 4), "gamma": 0.9, "learning_rate": 0.02}
A2C_SMALL = A2C(**SETTINGS)
STRETCH, SHIFT = np.array([30.0, 0.25, 1.0]), np.array([-4.0, 8.0, 0.5])  # hold exactly in float32


class SlowNormaliser:
    """(obs - mean) / deviation within +-10, both of what was counted before."""

    def __init__(self):
        self.counted = []

    def see(self, obs):
        mean, variance = (np.mean(self.counted, 0), np.var(self.counted, 0)) if self.counted else (0.0, 1.0)
        return np.clip((obs - mean) / np.sqrt(variance + 1e-8), -10, 10)

    def batch(self, batch):
        seen = batch._replace(obs=self.see(batch.obs), next_obs=self.see(batch.next_obs))
        self.counted += [batch.obs[i] for i in np.ndindex(*batch.weight.shape) if batch.weight[i]]
        return seen


class SlowScaler:
    """r / deviation of the running R <- gamma R + r, within +-clip; R starts at 0 with every episode."""

    def __init__(self, gamma, clip):
        self.gamma, self.clip = gamma, clip
        self.running, self.counted = np.zeros(SPEC.num_envs), []

    def batch(self, batch):
        for t, n in np.ndindex(*batch.weight.shape):
            self.running[n] = self.gamma * self.running[n] + batch.reward[t, n]
            if batch.weight[t, n]:
                self.counted.append(self.running[n])
            if batch.last[t, n]:
                self.running[n] = 0
        scaled = batch.reward / np.sqrt(np.var(self.counted) + 1e-8)
        return batch._replace(reward=np.clip(scaled, -self.clip, self.clip))


def stretched(batch):
    """Observations of very different sizes, far from 0, and large rewards that are mostly positive."""
    obs, next_obs = (np.float64(np.float32(x * STRETCH + SHIFT)) for x in (batch.obs, batch.next_obs))
    return batch._replace(obs=obs, next_obs=next_obs, reward=8 * batch.reward + 4)


def assert_moments(moments, counted):
    got = {"count": moments.count, "mean": moments.mean, "variance": moments.variance}
    assert_same(got, {"count": len(counted), "mean": np.mean(counted, 0), "variance": np.var(counted, 0)})


def test_normalised_observations():
    inner = begun(A2C_SMALL, SPEC, seed=1)
    state, update = normalised.State(inner, [no_moments((3,))]), quickly(Normalised(A2C_SMALL).update)
    params, slow, steps = by_name(inner.network), SlowNormaliser(), 0.0
    optimizer = RMSprop(params)
    for seed in (2, 3, 4):
        batch = stretched(random_batch(seed, SPEC.action))
        seen = slow.batch(batch)
        assert (abs(seen.obs) == 10).any() == (seed == 2), "the first batch, seen with no statistics, is cut"
        state, _ = update(state, batch, jax.random.key(0))
        params, _ = test_a2c.slow_update(A2C_SMALL, params, optimizer, seen, steps)
        steps += batch.weight.sum()
        assert_same(by_name(state.inner.network), params)
        assert_moments(state.moments[0], slow.counted)


def test_scaled_rewards():
    wrapped = ScaledRewards(A2C_SMALL, gamma=0.8, clip=1.5)
    inner = begun(A2C_SMALL, SPEC, seed=1)
    state, update = (
        scaled_rewards.State(inner, no_moments(), np.zeros(SPEC.num_envs, np.float32)),
        quickly(wrapped.update),
    )
    params, slow, steps = by_name(inner.network), SlowScaler(0.8, 1.5), 0.0
    optimizer = RMSprop(params)
    for seed in (2, 3, 4):
        batch = stretched(random_batch(seed, SPEC.action))
        scaled = slow.batch(batch)
        cut = abs(scaled.reward) == 1.5
        assert cut.any()
        assert not cut.all()
        state, metrics = update(state, batch, jax.random.key(0))
        params, _ = test_a2c.slow_update(A2C_SMALL, params, optimizer, scaled, steps)
        steps += batch.weight.sum()
        assert_same(by_name(state.inner.network), params)
        assert_moments(state.moments, slow.counted)
        np.testing.assert_allclose(state.returns, slow.running, rtol=1e-5)
        np.testing.assert_allclose(metrics["reward_scale"], 1 / np.std(slow.counted), rtol=1e-5)
        assert slow.running.any(), "episodes go on from batch to batch"


def test_both_around_ppo():
    ppo = PPO(**SETTINGS, epochs=2, minibatches=2)
    inner = begun(ppo, SPEC, seed=1)
    state = scaled_rewards.State(inner, no_moments(), np.zeros(SPEC.num_envs, np.float32))
    state, update = normalised.State(state, [no_moments((3,))]), quickly(Normalised(ScaledRewards(ppo)).update)
    params, steps = by_name(inner.network), 0.0
    adam, normaliser, scaler = Adam(params), SlowNormaliser(), SlowScaler(0.99, 10.0)
    for seed in (2, 3):
        batch, key = stretched(random_batch(seed, SPEC.action)), jax.random.key(seed)
        seen = scaler.batch(normaliser.batch(batch))
        seen = test_ppo.acted(params, seen, seed)
        state, _ = update(state, batch._replace(extras=seen.extras), key)
        params, _ = test_ppo.slow_update(ppo, params, adam, seen, key, steps)
        steps += batch.weight.sum()
        assert_same(by_name(state.inner.inner.network), params)
