"""DeepSea, BitFlipping and Catch against rules written out in NumPy, and their best scores."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs import BitFlipping, Catch, DeepSea
from bellmax.envs.bit_flipping import BitFlippingState
from bellmax.envs.catch import CatchState
from bellmax.envs.deep_sea import DeepSeaState
from bellmax.experience.hindsight import Equal
from bellmax.spaces import Box, Discrete

KEY = jax.random.key(0)


def rolled(env, actions, key=KEY):
    """One episode with these actions -> outcomes [time]; a key for each step."""
    keys = jax.random.split(key, len(actions))
    return jax.lax.scan(lambda state, now: env.step(state, *now), env.reset(key)[0], (actions, keys))[1]


def dive(size, mapping, actions, cost=0.01):
    """bsuite's deep_sea.py, without noise -> rewards, and the cells seen after each step."""
    column = 0
    rewards, grids = [], []
    for row, action in enumerate(actions):
        reward = 0.0
        action_right = action == mapping[row, column]
        if column == size - 1 and action_right:
            reward += 1.0
        if action_right:
            column = min(column + 1, size - 1)
            reward -= cost / size
        else:
            column = max(column - 1, 0)
        grid = np.zeros((size, size))
        if row + 1 < size:
            grid[row + 1, column] = 1
        rewards.append(reward)
        grids.append(grid.ravel())
    return np.array(rewards), np.array(grids)


@pytest.mark.parametrize("shown", ["cell", "grid"])
def test_every_dive_of_size_4_is_bsuites(shown):
    env = DeepSea(size=4, shown=shown)
    every = np.array(list(itertools.product((0, 1), repeat=4)), np.int32)
    outcomes = jax.jit(jax.vmap(lambda actions: rolled(env, actions)))(jnp.asarray(every))
    for i, actions in enumerate(every):
        rewards, grids = dive(4, env.right, actions)
        np.testing.assert_allclose(outcomes.reward[i], rewards, atol=1e-7)
        cells = np.where(grids.any(1), grids.argmax(1), 16)
        np.testing.assert_array_equal(outcomes.obs[i], grids if shown == "grid" else cells)
        assert outcomes.last[i].tolist() == [False, False, False, True] == (outcomes.discount[i] == 0).tolist()
    scores = outcomes.reward.sum(1)
    assert float(scores.max()) == pytest.approx(env.optimal_return) == pytest.approx(0.99)
    assert (np.asarray(scores) > 0).sum() == 1, "one way in 2^size"


def test_actions_are_mixed_unless_told_otherwise():
    assert 0.4 < DeepSea(size=20).right.mean() < 0.6
    assert (DeepSea(size=20).right != DeepSea(size=20, mapping_seed=1).right).any()
    plain = DeepSea(size=5, mapping_seed=None)
    outcome = rolled(plain, jnp.ones(5, jnp.int32))
    np.testing.assert_allclose(outcome.reward, [-0.002] * 4 + [0.998], atol=1e-7)
    assert outcome.obs.tolist() == [6, 12, 18, 24, 25]
    assert plain.spec.obs == Discrete(26)
    assert DeepSea(size=5, shown="grid").spec.obs == Box((25,), 0.0, 1.0)


def test_a_noisy_sea_by_its_averages():
    """Size 4: p = 3/4. Always right: E[score] = p^3 - 0.01 / 4 * 4 (it pays to the ground whatever happens).

    p^3 = 0.421875. The corner at the ground is reached with p^3 too, where a standard normal is added.
    """
    env = DeepSea(size=4, mapping_seed=None, stochastic=True)
    outcomes = jax.jit(jax.vmap(lambda key: rolled(env, jnp.ones(4, jnp.int32), key)))(jax.random.split(KEY, 8000))
    scores = np.asarray(outcomes.reward.sum(1), np.float64)
    # A score's variance: p^3 (1 - p^3) + p^3 = 0.666; of the mean of 8,000: 0.0091.
    assert scores.mean() == pytest.approx(0.421875 - 0.01, abs=0.04)
    found = outcomes.obs[:, 2] == 15
    assert float(found.mean()) == pytest.approx(0.421875, abs=0.025)
    assert scores[found].std() == pytest.approx(1, abs=0.06)
    # The best stops paying once it has failed: 0.421875 - 0.0025 (1 + 0.75 + 0.5625 + 0.421875) = 0.41503...
    assert env.optimal_return == pytest.approx(0.4150390625)
    assert DeepSea(size=14, move_cost=3.0).optimal_return == 0, "too dear"


def test_bits_are_flipped_until_they_are_the_goal():
    env = BitFlipping(bits=4)
    state = BitFlippingState(jnp.float32([0, 1, 0, 1]), jnp.float32([1, 1, 1, 1]), jnp.int32(0))
    state, outcome = env.step(state, jnp.int32(1), KEY)  # the wrong one
    assert outcome.obs["observation"].tolist() == outcome.obs["achieved_goal"].tolist() == [0, 0, 0, 1]
    assert outcome.obs["desired_goal"].tolist() == [1, 1, 1, 1]
    assert (float(outcome.reward), float(outcome.discount), bool(outcome.last)) == (-1, 1, False)
    for action in (1, 0):
        state, outcome = env.step(state, jnp.int32(action), KEY)
        assert (float(outcome.reward), float(outcome.discount), bool(outcome.last)) == (-1, 1, False)
    _, reached = env.step(state, jnp.int32(2), KEY)
    assert (float(reached.reward), float(reached.discount), bool(reached.last)) == (0, 0, True)
    _, late = env.step(state, jnp.int32(0), KEY)
    assert (float(late.reward), float(late.discount), bool(late.last)) == (-1, 1, True), "cut short after 4"
    assert not bool(BitFlipping(bits=4, max_steps=5).step(state, jnp.int32(0), KEY)[1].last)
    assert env.text(state) == "1101\n1111"


def test_the_rule_of_hindsight_is_that_of_bit_flipping():
    env, rule = BitFlipping(bits=3), Equal(terminates=True)

    def step(state, key):
        state, outcome = env.step(state, jax.random.randint(key, (), 0, 3), key)
        judged = rule(outcome.obs["achieved_goal"], outcome.obs["desired_goal"])
        fresh, _ = env.reset(key)
        return jax.tree.map(lambda new, old: jnp.where(outcome.last, new, old), fresh, state), (outcome, judged)

    _, (outcomes, judged) = jax.jit(lambda: jax.lax.scan(step, env.reset(KEY)[0], jax.random.split(KEY, 500)))()
    np.testing.assert_array_equal(judged[0], outcomes.reward)
    np.testing.assert_array_equal(judged[1], outcomes.discount)
    assert 50 < int((outcomes.discount == 0).sum()) < 450


def test_bits_and_goals_are_drawn_evenly_and_the_best_score_is_known():
    env = BitFlipping(bits=10)
    states, _ = jax.jit(jax.vmap(env.reset))(jax.random.split(KEY, 4000))
    # A coin's deviation is 0.5, of a mean of 4,000: 0.0079; ten of them, twice.
    np.testing.assert_allclose(states.bits.mean(0), 0.5, atol=0.035)
    np.testing.assert_allclose(states.goal.mean(0), 0.5, atol=0.035)
    differ = (states.bits != states.goal).sum(1)
    assert float(differ.mean()) == pytest.approx(5, abs=0.1)

    def flip(state, key):
        return env.step(state, jnp.argmax(state.bits != state.goal).astype(jnp.int32), key)

    state = jax.tree.map(lambda x: x[0], states)
    _, outcomes = jax.lax.scan(flip, state, jax.random.split(KEY, int(differ[0])))
    assert float(outcomes.reward.sum()) == 1 - int(differ[0])
    assert outcomes.last.tolist() == [False] * (int(differ[0]) - 1) + [True]


def test_catching_and_missing():
    env = Catch()
    state = CatchState(jnp.int32(0), jnp.int32(4), jnp.int32(2))
    caught = rolled_from(env, state, [2, 2, 1, 1, 1, 1, 1, 2, 2])  # the wall holds the paddle
    np.testing.assert_array_equal(caught.reward, [0] * 8 + [1])
    missed = rolled_from(env, state, [2, 2, 1, 1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(missed.reward, [0] * 8 + [-1])
    for outcomes in (caught, missed):
        assert outcomes.last.tolist() == [False] * 8 + [True] == (outcomes.discount == 0).tolist()
    board = np.zeros((10, 5, 1), np.uint8)
    board[1, 4], board[9, 3] = 255, 255
    np.testing.assert_array_equal(caught.obs[0], board)
    _, obs = jax.vmap(env.reset)(jax.random.split(KEY, 3000))
    shares = (np.asarray(obs)[:, 0, :, 0] > 0).mean(0)
    np.testing.assert_allclose(shares, 0.2, atol=0.03)  # deviation sqrt(0.16 / 3000) = 0.0073
    assert (np.asarray(obs)[:, 9, 2, 0] == 255).all()


def rolled_from(env, state, actions):
    return jax.lax.scan(lambda now, action: env.step(now, action, KEY), state, jnp.int32(actions))[1]


def test_pictures_move():
    for env, here, there in (
        (DeepSea(size=5), DeepSeaState(1, 0), DeepSeaState(2, 1)),
        (Catch(), CatchState(1, 0, 2), CatchState(2, 0, 2)),
        (
            BitFlipping(bits=3),
            BitFlippingState([0.0, 1, 1], [1.0, 1, 1], 0),
            BitFlippingState([1.0, 1, 1], [1.0, 1, 1], 0),
        ),
    ):
        one, two = env.render(here), env.render(there)
        assert one.dtype == two.dtype == np.uint8
        assert one.shape[2] == 3
        assert (one != two).any()
        np.testing.assert_array_equal(one, env.render(here))
