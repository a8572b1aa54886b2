"""MountainCar against Gymnasium's."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs.mountain_car import MountainCar, MountainCarState

KEY = jax.random.key(0)
CAR = MountainCar()
step = jax.jit(lambda state, action: CAR.step(state, jnp.int32(action), KEY))


def test_the_space_is_gymnasiums():
    theirs, ours = gymnasium.make("MountainCar-v0"), CAR.spec
    np.testing.assert_allclose(theirs.observation_space.low, ours.obs.bounds()[0])
    np.testing.assert_allclose(theirs.observation_space.high, ours.obs.bounds()[1])
    assert theirs.action_space.n == ours.action.n
    assert theirs.spec.max_episode_steps == CAR.max_steps


@pytest.mark.parametrize("seed", range(3))
def test_an_episode_follows_gymnasium_to_the_goal(seed):
    """Drive the way the car rolls: this swings it up the hill."""
    env = gymnasium.make("MountainCar-v0").unwrapped
    obs, _ = env.reset(seed=seed)
    state, ends = MountainCarState(jnp.asarray(obs), jnp.int32(0)), []
    for t in range(200):
        action = 2 if obs[1] >= 0 else 0
        obs, reward, terminated, _, _ = env.step(action)
        state, outcome = step(state, action)
        np.testing.assert_allclose(outcome.obs, obs, atol=2e-4)
        assert float(outcome.reward) == reward == -1
        assert int(state.time) == t + 1
        ends.append(terminated)
        assert bool(outcome.last) == terminated == (float(outcome.discount) == 0)
        if terminated:
            break
    assert terminated
    assert 80 < len(ends) < 160


def test_one_step_from_anywhere_equals_gymnasiums():
    rng = np.random.default_rng(0)
    starts = rng.uniform((-1.2, -0.07), (0.6, 0.07), size=(300, 2))
    starts[:40, 0], starts[40:80, 0] = rng.uniform(-1.2, -1.16, 40), rng.uniform(0.45, 0.55, 40)
    starts = starts.astype(np.float32)
    env, theirs, ends = gymnasium.make("MountainCar-v0").unwrapped, [], []
    env.reset(seed=0)
    for i, start in enumerate(starts):
        env.state = start.astype(np.float64)
        obs, _, terminated, _, _ = env.step(i % 3)
        theirs.append(obs)
        ends.append(terminated)
    states = MountainCarState(jnp.asarray(starts), jnp.zeros(300, jnp.int32))
    _, outcome = jax.vmap(step)(states, jnp.arange(300) % 3)
    np.testing.assert_allclose(outcome.obs, theirs, atol=1e-6)
    np.testing.assert_array_equal(outcome.last, ends)
    assert np.isclose(theirs, [-1.2, 0]).all(1).sum() >= 10, "some hit the wall"
    assert 20 < sum(ends) < 150


def test_the_goal_and_the_wall():
    at = lambda *motion: MountainCarState(jnp.float32(motion), jnp.int32(0))
    assert bool(step(at(0.46, 0.05), 2)[1].last)
    assert not bool(step(at(0.40, 0.05), 2)[1].last)
    slow = MountainCar(goal_velocity=0.06)
    assert not bool(slow.step(at(0.46, 0.05), jnp.int32(2), KEY)[1].last)
    np.testing.assert_allclose(step(at(-1.19, -0.05), 0)[1].obs, [-1.2, 0])


@pytest.mark.parametrize("limit", [200, None])
def test_a_car_that_rolls_is_cut_short_or_goes_on(limit):
    env = MountainCar(max_steps=limit)
    roll = lambda state, _: env.step(state, jnp.int32(1), KEY)
    _, outcomes = jax.jit(lambda state: jax.lax.scan(roll, state, length=250))(env.reset(KEY)[0])
    assert outcomes.discount.tolist() == [1] * 250
    assert int(jnp.argmax(outcomes.last)) == (199 if limit else 0)
    assert bool(outcomes.last.any()) == bool(limit)


def test_starts_are_at_rest_and_even_between_their_ends():
    _, obs = jax.jit(jax.vmap(CAR.reset))(jax.random.split(KEY, 4000))
    assert (np.asarray(obs[:, 1]) == 0).all()
    position = np.asarray(obs[:, 0])
    assert -0.6 <= position.min() < -0.599
    assert -0.401 < position.max() <= -0.4
    # Standard deviation of a uniform of width 0.2: 0.2 / sqrt(12) = 0.0577; of its mean over 4,000: 0.0009.
    assert position.mean() == pytest.approx(-0.5, abs=0.004)
    assert position.std() == pytest.approx(0.0577, abs=0.002)


def test_the_picture_follows_the_car():
    def centre(position):  # of what is orange
        image = CAR.render(MountainCarState(np.float32([position, 0]), 0)).astype(int)
        assert image.shape == (400, 640, 3)
        rows, columns = np.nonzero((image[..., 0] > 200) & (image[..., 2] < 80))
        return rows.mean(), columns.mean()

    valley, right = centre(-np.pi / 6), centre(0.3)
    # A position unit is 640 / 1.8 = 355.6 pixels; the car stands above the ground, square to it, so on a slope its
    # middle is off by some pixels.
    assert right[1] - valley[1] == pytest.approx(355.6 * (0.3 + np.pi / 6), abs=20)
    assert valley[0] - right[0] > 100, "up the hill"
