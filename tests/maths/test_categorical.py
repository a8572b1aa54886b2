"""Discrete policies: every outcome enumerated, samples counted."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.distributions import Categorical, MultiCategorical

LOGITS = jnp.array([0.5, -1.0, 2.0, 0.0, 1.0])
LEGAL = jnp.array([True, False, True, True, False])
PAIR = MultiCategorical((Categorical(jnp.array([0.3, -1.2, 0.8])), Categorical(jnp.array([1.0, -0.5]))))
PAIR_LEGAL = jnp.array([True, False, True, True, True])
BOTH = jnp.array(list(itertools.product(range(3), range(2))))  # the six joint actions
DRAWS = 20_000


def softmax(logits):
    weights = np.exp(np.asarray(logits, np.float64))
    return weights / weights.sum()


def chi_square(times, probabilities):
    """Sum of (seen - expected)^2 / expected over the outcomes that can be."""
    possible = probabilities > 0
    expected = probabilities[possible] * times.sum()
    return ((times[possible] - expected) ** 2 / expected).sum()


def test_by_hand():
    # logits log(1, 2, 1): p = 1/4, 1/2, 1/4; entropy 2/4 log 4 + 1/2 log 2 = 1.5 log 2
    policy = Categorical(jnp.log(jnp.array([1.0, 2.0, 1.0])) + 7)
    np.testing.assert_allclose(policy.log_prob(jnp.array(1)), -np.log(2), rtol=1e-6)
    np.testing.assert_allclose(policy.entropy(), 1.5 * np.log(2), rtol=1e-6)
    assert policy.mode() == 1
    # without the last: p = 1/3, 2/3; entropy log 3 - 2/3 log 2
    masked = policy.masked(jnp.array([True, True, False]))
    np.testing.assert_allclose(masked.log_prob(jnp.array(0)), -np.log(3), rtol=1e-6)
    np.testing.assert_allclose(masked.entropy(), np.log(3) - 2 / 3 * np.log(2), rtol=1e-6)
    assert policy.masked(jnp.array([True, False, True])).mode() == 0  # the likeliest of the legal ones


@pytest.mark.parametrize("legal", [jnp.ones(5, bool), LEGAL])
def test_probabilities_and_entropy_by_enumeration(legal):
    policy = Categorical(LOGITS).masked(legal)
    log_prob = np.asarray(jax.jit(jax.vmap(policy.log_prob))(jnp.arange(5)), np.float64)
    p = np.where(legal, softmax(LOGITS), 0) / softmax(LOGITS)[np.asarray(legal)].sum()
    np.testing.assert_allclose(np.exp(log_prob), p, rtol=1e-5)
    np.testing.assert_allclose(policy.entropy(), -(p[legal] * log_prob[legal]).sum(), rtol=1e-5)


def test_log_prob_of_a_batch_picks_each_rows_own_action():
    logits = jnp.stack([LOGITS, -LOGITS])
    got = Categorical(logits).log_prob(jnp.array([2, 1]))
    np.testing.assert_allclose(np.exp(got), [softmax(LOGITS)[2], softmax(-LOGITS)[1]], rtol=1e-5)
    np.testing.assert_array_equal(Categorical(logits).mode(), [2, 1])
    assert Categorical(logits).entropy().shape == (2,)


@pytest.mark.parametrize("legal", [LEGAL, jnp.arange(5) == 3, jnp.zeros(5, bool)])
def test_gradients_under_a_mask_are_finite_and_none_reaches_an_illegal_logit(legal):
    def both(logits, action):
        policy = Categorical(logits).masked(legal)
        return policy.log_prob(action) + 0.1 * policy.entropy()

    value, slope = jax.jit(jax.value_and_grad(both))(LOGITS, jnp.array(3))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert (slope[~legal] == 0).all()
    if legal is LEGAL:
        # d log p(3) / d logits = onehot - p over the legal ones; d entropy / d logit_i = -p_i (log p_i + entropy)
        p = softmax(np.where(LEGAL, LOGITS, -np.inf))
        log_p = np.log(p, where=p > 0, out=np.zeros(5))
        entropy_slope = -p * (log_p - (p * log_p).sum())
        np.testing.assert_allclose(slope, np.eye(5)[3] - p + 0.1 * entropy_slope, atol=1e-6)


def test_where_everything_is_illegal_nothing_breaks():
    policy = Categorical(LOGITS).masked(jnp.zeros(5, bool))
    np.testing.assert_allclose(policy.log_prob(jnp.array(2)), -np.log(5), rtol=1e-6)
    assert 0 <= policy.sample(jax.random.key(0)) < 5


def test_logits_of_any_size_are_finite():
    policy = Categorical(jnp.array([1e4, 0.0, -1e4]))
    assert policy.entropy() == 0
    np.testing.assert_array_equal(jax.jit(jax.vmap(policy.log_prob))(jnp.arange(3)), [0, -1e4, -2e4])


@pytest.mark.parametrize("legal", [jnp.ones(5, bool), LEGAL])
def test_samples_come_as_often_as_they_should(legal):
    policy = Categorical(LOGITS).masked(legal)
    actions = jax.jit(jax.vmap(policy.sample))(jax.random.split(jax.random.key(0), DRAWS))
    times = np.bincount(actions, minlength=5)
    p = softmax(np.where(legal, LOGITS, -np.inf))
    assert times[~np.asarray(legal)].sum() == 0
    assert chi_square(times, p) < 23.5  # 4 degrees of freedom: passed by one in ten thousand
    tilted = softmax(np.where(legal, LOGITS * 1.1, -np.inf))
    assert chi_square(times, tilted) > 23.5  # control: a temperature a tenth off is noticed


def test_two_choices_are_independent_and_their_log_probs_add():
    first, second = (softmax(part.logits) for part in PAIR.parts)
    joint = np.outer(first, second).ravel()
    log_prob = np.asarray(PAIR.log_prob(BOTH), np.float64)  # the parts broadcast over the six actions
    np.testing.assert_allclose(np.exp(log_prob), joint, rtol=1e-5)
    np.testing.assert_allclose(PAIR.entropy(), -(joint * np.log(joint)).sum(), rtol=1e-5)
    np.testing.assert_array_equal(PAIR.mode(), [2, 0])


@pytest.mark.parametrize("compiled", [False, True])
def test_a_mask_is_cut_between_the_choices(compiled):
    def scores(legal):
        policy = PAIR.masked(legal)
        return jax.vmap(policy.log_prob)(BOTH), policy.entropy(), policy.mode()

    log_prob, entropy, mode = (jax.jit(scores) if compiled else scores)(PAIR_LEGAL.at[3].set(False))
    first = np.where([True, False, True], softmax(PAIR.parts[0].logits), 0)
    joint = np.outer(first / first.sum(), [0, 1]).ravel()  # the second choice has one option left
    np.testing.assert_allclose(np.exp(np.asarray(log_prob)), joint, rtol=1e-5)
    np.testing.assert_allclose(entropy, -(joint[joint > 0] * np.log(joint[joint > 0])).sum(), rtol=1e-5)
    np.testing.assert_array_equal(mode, [2, 1])


def test_samples_of_two_choices_are_independent():
    policy = PAIR.masked(PAIR_LEGAL)
    actions = np.asarray(jax.jit(jax.vmap(policy.sample))(jax.random.split(jax.random.key(1), DRAWS)))
    times = np.bincount(2 * actions[:, 0] + actions[:, 1], minlength=6)
    first = np.where([True, False, True], softmax(PAIR.parts[0].logits), 0)
    joint = np.outer(first / first.sum(), softmax(PAIR.parts[1].logits)).ravel()
    assert times[2:4].sum() == 0
    assert chi_square(times, joint) < 21.1  # 3 degrees of freedom: passed by one in ten thousand


def test_choices_of_one_kind_do_not_share_their_luck():
    twins = MultiCategorical((Categorical(jnp.zeros(2)), Categorical(jnp.zeros(2))))
    actions = np.asarray(jax.jit(jax.vmap(twins.sample))(jax.random.split(jax.random.key(2), 2000)))
    assert abs((actions[:, 0] == actions[:, 1]).mean() - 0.5) < 0.05  # one key for both would make it 1


def test_mixed_with_even_choices():
    """p = (3/4, 1/4), a tenth spread evenly: .9 * .75 + .05 = .725. Certainty keeps share / n for the others."""
    mixed = Categorical(jnp.log(jnp.array([0.75, 0.25]))).mixed(0.1)
    np.testing.assert_allclose(jnp.exp(mixed.logits), [0.725, 0.275], rtol=1e-6)
    certain = MultiCategorical((Categorical(jnp.array([0.0, 200.0])), Categorical(jnp.array([500.0, 0.0, 0.0]))))
    parts = certain.mixed(0.06).parts
    np.testing.assert_allclose(jnp.exp(parts[0].logits), [0.03, 0.97], rtol=1e-5)
    np.testing.assert_allclose(jnp.exp(parts[1].logits), [0.96, 0.02, 0.02], rtol=1e-5)
