"""Pendulum against Gymnasium's."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs.pendulum import Pendulum, PendulumState

KEY = jax.random.key(0)
ROD = Pendulum()
step = jax.jit(lambda state, action: ROD.step(state, action, KEY))


def start(env, seed):
    """Reset Gymnasium's and give ours the same state."""
    env.reset(seed=seed)
    return PendulumState(jnp.asarray(env.unwrapped.state, jnp.float32), jnp.int32(0))


def test_the_space_is_gymnasiums():
    theirs, ours = gymnasium.make("Pendulum-v1"), ROD.spec
    for one, other in ((theirs.observation_space, ours.obs), (theirs.action_space, ours.action)):
        np.testing.assert_array_equal([one.low, one.high], other.bounds())
    assert theirs.spec.max_episode_steps == ROD.max_steps


@pytest.mark.parametrize("seed", range(4))
def test_an_episode_follows_gymnasium_to_its_time_limit(seed):
    env = gymnasium.make("Pendulum-v1", disable_env_checker=True)
    state, rng = start(env, seed), np.random.default_rng(seed)
    for t in range(200):
        speed = float(state.motion[1])
        # Turn the way it turns, which swings it over the top; then at random, beyond the strongest torque too.
        action = np.float32([2.0 if speed > 0 else -2.0]) if t < 60 else rng.uniform(-3, 3, 1).astype(np.float32)
        obs, reward, terminated, truncated, _ = env.step(action)
        state, outcome = step(state, action)
        np.testing.assert_allclose(outcome.obs, obs, atol=2e-3)
        assert float(outcome.reward) == pytest.approx(reward, abs=2e-2)
        assert bool(outcome.last) == truncated == (t == 199)
        assert float(outcome.discount) == 1 - terminated == 1


def test_one_step_from_anywhere_equals_gymnasiums():
    rng = np.random.default_rng(0)
    starts = rng.uniform((-20, -8), (20, 8), size=(500, 2)).astype(np.float32)  # more than three turns either way
    actions = rng.uniform(-3, 3, (500, 1)).astype(np.float32)
    env, theirs, costs = gymnasium.make("Pendulum-v1").unwrapped, [], []
    env.reset(seed=0)
    for motion, action in zip(starts, actions):
        env.state = motion.astype(np.float64)
        obs, reward, *_ = env.step(action)
        theirs.append(obs)
        costs.append(reward)
    _, outcome = jax.vmap(step)(PendulumState(jnp.asarray(starts), jnp.zeros(500, jnp.int32)), jnp.asarray(actions))
    np.testing.assert_allclose(outcome.obs, theirs, atol=1e-5)
    np.testing.assert_allclose(outcome.reward, costs, atol=3e-5)
    assert (np.abs(np.asarray(theirs)[:, 2]) == 8).sum() > 5, "some are as fast as can be"
    assert (np.abs(actions) > 2).sum() > 100, "some torques are cut"


def test_rewards_by_hand():
    # Hanging at rest without a torque: -pi^2. At the top, 1 rad/s and 2 N m: -(0.1 + 0.001 * 4) = -0.104.
    at = lambda *motion: PendulumState(jnp.float32(motion), jnp.int32(0))
    assert float(step(at(np.pi, 0), jnp.zeros(1))[1].reward) == pytest.approx(-(np.pi**2), abs=1e-5)
    assert float(step(at(0, 1), jnp.float32([2]))[1].reward) == pytest.approx(-0.104, abs=1e-6)


def test_starts_are_gymnasiums():
    _, obs = jax.jit(jax.vmap(ROD.reset))(jax.random.split(KEY, 4000))
    env = gymnasium.make("Pendulum-v1").unwrapped
    env.reset(seed=0)
    theirs = np.stack([env.reset()[0] for _ in range(4000)])
    np.testing.assert_allclose((obs**2).sum(1), 1 + np.asarray(obs[:, 2]) ** 2, atol=1e-5)
    # Cosines have a standard deviation of 0.71, squares of velocities one of 0.30; of the mean of 4,000: 0.011, 0.005.
    np.testing.assert_allclose(obs.mean(0), theirs.mean(0), atol=0.06)
    np.testing.assert_allclose((obs**2).mean(0), (theirs**2).mean(0), atol=0.03)
    assert 0.99 < float(jnp.abs(obs[:, 2]).max()) <= 1


def test_the_picture_follows_the_rod():
    def tip(angle):  # the pixel of the rod that is furthest from the axle
        image = ROD.render(PendulumState(np.float32([angle, 0]), 0)).astype(int)
        assert image.shape == (400, 400, 3)
        rows, columns = np.nonzero((image[..., 0] > 200) & (image[..., 2] < 80))
        far = np.hypot(rows - 199.5, columns - 199.5).argmax()
        return rows[far], columns[far]

    assert tip(0.0)[0] < 45
    assert tip(np.pi)[0] > 355
    assert tip(np.pi / 2)[1] < 45, "a positive angle turns against the clock, as in Gymnasium's pictures"
