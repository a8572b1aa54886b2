"""The recurrent state-space model: gradients by hand, what begins anew, and the model as a world."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Box, Discrete, Masked, MultiBinary, Spec
from bellmax.core import Decision
from bellmax.maths.distributions import Categorical
from bellmax.models import imagine
from bellmax.models.dream import Dream
from bellmax.models.rows import Rows
from bellmax.models.rssm import Size, balanced_kl, straight_through
from bellmax.models.world_model import Memory, WorldModel, mean_of

SIZE = Size(5, 4, 1, 2, 3)
SPEC = Spec(Box((3,)), Discrete(2))


@pytest.fixture(scope="module")
def world():
    return jax.jit(lambda key: WorldModel(key, SPEC, SIZE))(jax.random.key(0))


def test_a_straight_through_sample_is_one_hot_and_has_the_slope_of_the_probabilities():
    """d p_i / d logit_j = p_i (1[i = j] - p_j); with p = (.5, .25, .25) and i = 0: (.25, -.125, -.125)."""
    logits = jnp.log(jnp.array([0.5, 0.25, 0.25]))
    draw = jax.vmap(lambda key: straight_through(Categorical(logits), key))
    sample = draw(jax.random.split(jax.random.key(0), 400))
    np.testing.assert_allclose(np.sort(sample, -1), np.tile([0, 0, 1], (400, 1)), atol=1e-6)
    np.testing.assert_allclose(sample.mean(0), [0.5, 0.25, 0.25], atol=0.08)
    slope = jax.grad(lambda logits: straight_through(Categorical(logits), jax.random.key(0))[0])(logits)
    np.testing.assert_allclose(slope, [0.25, -0.125, -0.125], atol=1e-6)


def test_each_side_of_the_kl_moves_one_distribution():
    """q = (3/4, 1/4), p even: KL = 3/4 log 3/2 + 1/4 log 1/2 = .1308 a group; two groups .2616."""
    q = Categorical(jnp.log(jnp.tile(jnp.array([0.75, 0.25]), (2, 1))))
    p = Categorical(jnp.zeros((2, 2)))
    by_hand = 2 * (0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    assert [float(x) for x in balanced_kl(q, p, 0.0)] == pytest.approx([by_hand] * 2, rel=1e-5)
    slopes = jax.jacobian(lambda q, p: jnp.stack(balanced_kl(Categorical(q), Categorical(p), 0.0)), (0, 1))
    by_q, by_p = slopes(q.logits, p.logits)
    np.testing.assert_allclose(by_q[0], 0, atol=1e-7)
    np.testing.assert_allclose(by_p[0], np.tile([-0.25, 0.25], (2, 1)), atol=1e-6)  # softmax(p) - q
    assert np.abs(by_q[1]).min() > 0.1
    np.testing.assert_allclose(by_p[1], 0, atol=1e-7)


def test_free_nats_are_of_the_sum_over_the_groups():
    """Each group is below .2 nats, both together above: their slope stays. Above the sum, nothing moves."""
    p = jnp.zeros((2, 2))
    q = jnp.log(jnp.tile(jnp.array([0.75, 0.25]), (2, 1)))
    slope = jax.grad(lambda p, free: balanced_kl(Categorical(q), Categorical(p), free)[0])
    assert np.abs(slope(p, 0.2)).min() > 0.1
    np.testing.assert_array_equal(slope(p, 0.3), 0)
    assert float(balanced_kl(Categorical(q), Categorical(p), 0.3)[1]) == pytest.approx(0.3)


def rows_of(obs, action, begins):
    ones = jnp.ones(len(obs))
    return Rows(obs, action, ones, ones, begins, jnp.zeros(len(obs), bool), ones > 0, ones)


def test_where_an_episode_begins_nothing_before_it_matters(world):
    obs, action = np.float32(np.random.default_rng(0).normal(size=(4, 3))), np.zeros((4, 2), np.float32)
    read = jax.jit(lambda begins, memory: world.read(rows_of(obs, action, begins), memory, jax.random.key(0), 0.01)[0])
    memories = [Memory(jnp.full(5, h), jnp.array([1, 2], jnp.int32), jnp.array([1.0, 0.0])) for h in (-1.0, 1.0)]
    marks = jnp.array([False, False, True, False])
    one, other = (read(marks, memory).features for memory in memories)
    np.testing.assert_array_equal(one[2:], other[2:])
    assert np.abs(one[:2] - other[:2]).max() > 1e-2
    one, other = (read(marks & False, memory).features for memory in memories)
    assert np.abs(one[2:] - other[2:]).max() > 1e-2, "the control: otherwise it does"


def test_it_begins_by_foreseeing_rewards_of_zero_and_is_an_environment(world):
    dream = Dream(world)
    state, obs = jax.vmap(dream.reset)(jax.random.split(jax.random.key(1), 6))
    assert obs.shape == (6, *dream.spec.obs.shape)
    steps = jax.jit(
        lambda dream: imagine(dream, lambda obs, key: Decision(jnp.int32(1)), state, obs, jax.random.key(2), 3)
    )(dream)
    np.testing.assert_array_equal(steps.reward, 0)
    np.testing.assert_array_equal(steps.obs[1:], steps.next_obs[:-1])
    assert not steps.last.any()
    by_hand = jax.nn.sigmoid(jax.vmap(world.continuation)(steps.next_obs[0]))
    np.testing.assert_allclose(steps.discount[0], by_hand, rtol=1e-5)
    np.testing.assert_allclose(steps.next_obs[..., 5:].reshape(3, 6, 2, 3).sum(-1), 1, atol=1e-5)
    assert float(mean_of(jax.vmap(world.reward)(obs)).max()) == 0


def test_the_memory_is_what_was_left(world):
    latent = world.recall(world.begin())
    np.testing.assert_array_equal(latent.features, world.rssm.begin().features)
    moved = world.foresee(latent, jnp.array([0.0, 1.0]), jax.random.key(0), 0.01)
    kept = world.remember(moved, jnp.int32(1))
    np.testing.assert_array_equal(kept.action, [0, 1])
    np.testing.assert_allclose(world.recall(kept).features, moved.features, atol=1e-6)


def test_continuous_actions_are_seen_in_minus_one_to_one_and_cut_there():
    """-3 .. 5 has its middle at 1; 7 is beyond the end."""
    make = jax.jit(lambda key: WorldModel(key, Spec(Box((3,)), Box((3,), -3.0, 5.0)), SIZE))
    np.testing.assert_allclose(make(jax.random.key(0)).as_numbers(jnp.array([-3.0, 1.0, 7.0])), [-1, 0, 1])


def test_a_mask_is_refused():
    spec = Spec(Masked(Box((3,)), MultiBinary(2)), Discrete(2))
    with pytest.raises(ValueError, match=r"observation Masked\(...\): a world model cannot imagine legal actions"):
        WorldModel(jax.random.key(0), spec, SIZE)
