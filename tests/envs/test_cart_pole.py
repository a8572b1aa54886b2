"""CartPole against Gymnasium's."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs import CartPole
from bellmax.envs.cart_pole import ANGLE_LIMIT, POSITION_LIMIT, CartPoleState

KEY = jax.random.key(0)
step = jax.jit(lambda state, action: CartPole().step(state, jnp.int32(action), KEY))


def episode(seed, actions):
    """Gymnasium's CartPole from a seed until the pole falls: observations, rewards, terminations."""
    env = gymnasium.make("CartPole-v1").unwrapped
    obs, _ = env.reset(seed=seed)
    rows = [(obs, 0.0, False)]
    for action in actions:
        obs, reward, terminated, _, _ = env.step(int(action))
        rows.append((obs, reward, terminated))
        if terminated:
            break
    return [np.stack(column) for column in zip(*rows)]


@pytest.mark.parametrize("seed", range(6))
def test_cart_pole_follows_gymnasium(seed):
    actions = np.random.default_rng(seed).integers(2, size=200)
    obs, rewards, terminated = episode(seed, actions)
    state = CartPoleState(jnp.asarray(obs[0]), jnp.int32(0))
    for t in range(len(obs) - 1):
        state, outcome = step(state, actions[t])
        np.testing.assert_allclose(outcome.obs, obs[t + 1], atol=1e-5)
        assert float(outcome.reward) == rewards[t + 1] == 1
        assert bool(outcome.last) == bool(terminated[t + 1]) == (float(outcome.discount) == 0)
    assert terminated[-1]


def test_cart_pole_one_step_from_anywhere_in_reach_equals_gymnasiums():
    rng = np.random.default_rng(0)
    starts = rng.uniform(-1, 1, (300, 4)) * [2.5, 4, 0.25, 4]
    env, theirs, ends = gymnasium.make("CartPole-v1").unwrapped, [], []
    for i, start in enumerate(starts):
        env.reset(seed=0)
        env.state = start
        obs, _, terminated, _, _ = env.step(i % 2)
        theirs.append(obs)
        ends.append(terminated)
    states = CartPoleState(jnp.asarray(starts, jnp.float32), jnp.zeros(300, jnp.int32))
    _, outcome = jax.vmap(step)(states, jnp.arange(300) % 2)
    np.testing.assert_allclose(outcome.obs, theirs, atol=2e-6)
    np.testing.assert_array_equal(outcome.last, ends)
    assert 50 < sum(ends) < 250  # both cases were met


@pytest.mark.parametrize(("axis", "limit"), [(0, POSITION_LIMIT), (2, ANGLE_LIMIT)])
@pytest.mark.parametrize("sign", [1, -1])
def test_cart_pole_ends_just_beyond_its_limits(axis, limit, sign):
    # At rest nothing moves by explicit Euler in the first step, so the place stays where it is put.
    for place, last in ((limit * 0.9999, False), (limit * 1.0001, True)):
        motion = jnp.zeros(4).at[axis].set(sign * place)
        _, outcome = step(CartPoleState(motion, jnp.int32(0)), 0)
        assert bool(outcome.last) is last
        assert float(outcome.discount) == 1 - last


def test_a_balanced_cart_pole_is_cut_short_at_500():
    # Push to where the pole falls: angle + 0.5 spin, with a little of the cart's own motion, balances for ever.
    env = CartPole()

    def balance(state, _):
        x, v, angle, spin = state.motion
        action = (angle + 0.5 * spin + 0.02 * x + 0.05 * v > 0).astype(jnp.int32)
        state, outcome = env.step(state, action, KEY)
        return state, outcome

    _, outcomes = jax.jit(lambda state: jax.lax.scan(balance, state, length=500))(env.reset(KEY)[0])
    assert outcomes.last.tolist() == [False] * 499 + [True]
    assert outcomes.discount.tolist() == [1] * 500
    assert float(outcomes.reward.sum()) == 500


def test_cart_pole_starts_are_uniform_around_rest():
    _, obs = jax.jit(jax.vmap(CartPole().reset))(jax.random.split(KEY, 4000))
    assert float(jnp.abs(obs).max()) <= 0.05
    # Standard deviation of a uniform of width 0.1: 0.1 / sqrt(12) = 0.0289; of its mean over 4,000: 0.00046.
    np.testing.assert_allclose(obs.mean(0), 0, atol=0.0023)
    np.testing.assert_allclose(obs.std(0), 0.0289, atol=0.001)


def test_cart_pole_pictures_follow_the_cart_and_the_pole():
    def orange(motion):  # the columns in which the pole is
        image = CartPole().render(CartPoleState(np.asarray(motion), 0)).astype(int)
        assert image.shape == (400, 640, 3)
        return np.flatnonzero(((image[..., 0] > 200) & (image[..., 2] < 80)).any(0))

    upright, moved, leaning = (orange(motion) for motion in ([0.0] * 4, [1.0, 0, 0, 0], [0.0, 0, 0.2, 0]))
    assert upright.mean() == pytest.approx(319.5, abs=1)
    # One metre is 640 / 5.4 = 118.5 pixels.
    assert moved.mean() - upright.mean() == pytest.approx(118.5, abs=1)
    # The tip is sin(0.2) = 0.199 m, 23.5 pixels, to the right; the lower end stays.
    assert leaning.max() - upright.max() == pytest.approx(23.5, abs=1)
    assert leaning.min() == pytest.approx(upright.min(), abs=2)
