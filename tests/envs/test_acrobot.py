"""Acrobot against Gymnasium's."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs.acrobot import Acrobot, AcrobotState

KEY = jax.random.key(0)
LINKS = Acrobot()
step = jax.jit(lambda state, action: LINKS.step(state, jnp.int32(action), KEY))


def test_the_space_is_gymnasiums():
    theirs, ours = gymnasium.make("Acrobot-v1"), LINKS.spec
    np.testing.assert_allclose([theirs.observation_space.low, theirs.observation_space.high], ours.obs.bounds())
    assert theirs.action_space.n == ours.action.n
    assert theirs.spec.max_episode_steps == LINKS.max_steps


@pytest.mark.parametrize("seed", range(3))
def test_an_episode_follows_gymnasium_to_the_goal(seed):
    """Torque against the first link's turning swings it up; both go on from the same state every ten steps."""
    env = gymnasium.make("Acrobot-v1", disable_env_checker=True)
    env.reset(seed=seed)
    time = 0
    for time in range(500):
        if time % 10 == 0:  # float32 and float64 part by a factor of e in about ten steps: this motion is chaotic
            state = AcrobotState(jnp.asarray(env.unwrapped.state, jnp.float32), jnp.int32(time))
        action = 0 if env.unwrapped.state[2] > 0 else 2
        obs, reward, terminated, _, _ = env.step(action)
        state, outcome = step(state, action)
        np.testing.assert_allclose(outcome.obs, obs, atol=1e-3)
        assert float(outcome.reward) == reward == terminated - 1
        assert bool(outcome.last) == terminated == (float(outcome.discount) == 0)
        if terminated:
            break
    assert 60 < time < 200


@pytest.mark.parametrize("equations", ["book", "paper"])
def test_one_step_from_anywhere_equals_gymnasiums(equations):
    rng = np.random.default_rng(0)
    starts = (rng.uniform(-1, 1, (400, 4)) * [np.pi, np.pi, 12, 28]).astype(np.float32)
    env, theirs, ends, places = gymnasium.make("Acrobot-v1").unwrapped, [], [], []
    env.reset(seed=0)
    env.book_or_nips = "book" if equations == "book" else "nips"
    for i, start in enumerate(starts):
        env.state = start.astype(np.float64)
        obs, _, terminated, _, _ = env.step(i % 3)
        theirs.append(obs)
        ends.append(terminated)
        places.append(env.state)
    links = Acrobot(equations=equations)
    states = AcrobotState(jnp.asarray(starts), jnp.zeros(400, jnp.int32))
    after, outcome = jax.jit(jax.vmap(links.step, (0, 0, None)))(states, jnp.arange(400) % 3, KEY)
    np.testing.assert_allclose(outcome.obs, theirs, atol=2e-3)
    assert np.median(np.abs(outcome.obs - np.stack(theirs))) < 1e-6
    np.testing.assert_allclose(after.motion, np.stack(places), atol=2e-3)  # angles are wound to -pi..pi
    np.testing.assert_array_equal(outcome.last, ends)
    assert 50 < sum(ends) < 350
    assert (np.abs(np.asarray(theirs)[:, 4]) > 12.566).sum() > 5, "some are as fast as can be"


def test_hanging_acrobots_are_cut_short_at_500():
    roll = lambda state, _: LINKS.step(state, jnp.int32(1), KEY)
    _, outcomes = jax.jit(lambda state: jax.lax.scan(roll, state, length=500))(LINKS.reset(KEY)[0])
    assert outcomes.last.tolist() == [False] * 499 + [True]
    assert outcomes.discount.tolist() == [1] * 500
    assert float(outcomes.reward.sum()) == -500


def test_starts_hang_nearly_still():
    states, _ = jax.jit(jax.vmap(LINKS.reset))(jax.random.split(KEY, 4000))
    assert float(jnp.abs(states.motion).max()) <= 0.1
    # Standard deviation of a uniform of width 0.2: 0.2 / sqrt(12) = 0.0577; of its mean over 4,000: 0.0009.
    np.testing.assert_allclose(states.motion.mean(0), 0, atol=0.0045)
    np.testing.assert_allclose(states.motion.std(0), 0.0577, atol=0.002)


def test_the_picture_follows_the_links():
    def orange(angle, elbow):  # the middle of the second link
        image = LINKS.render(AcrobotState(np.float32([angle, elbow, 0, 0]), 0)).astype(int)
        assert image.shape == (400, 400, 3)
        rows, columns = np.nonzero((image[..., 0] > 200) & (image[..., 2] < 80))
        return rows.mean(), columns.mean()

    # A link is 85 pixels: the second one's middle is 127.5 from the axle, to the right at a first angle of pi / 2.
    np.testing.assert_allclose(orange(0.0, 0.0), (327, 199.5), atol=3)
    np.testing.assert_allclose(orange(np.pi / 2, 0.0), (199.5, 327), atol=3)
    np.testing.assert_allclose(orange(0.0, np.pi / 2), (284.5, 242), atol=3)
