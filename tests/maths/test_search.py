"""Searches keep what they promise: Gumbel's policy is never worse than the prior, whatever the budget."""

import functools

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import pytest

from bellmax.maths.distributions import ILLEGAL
from bellmax.maths.search import is_legal, mean_values, proven_value, value_range

BANDITS, ARMS = 2_560, 8


@functools.cache
def bandits():
    """Priors and what the arms are worth, at random: [bandit, arm]; and the value of each prior."""
    keys = jax.random.split(jax.random.key(0))
    logits, q = (jax.random.normal(key, (BANDITS, ARMS)) for key in keys)
    return logits, q, (jax.nn.softmax(logits) * q).sum(-1)


def improvement(policy, simulations):
    """By how much the policy that a search found is better than the prior, [bandit]."""
    logits, q, value = bandits()

    def pull(params, key, arm, number):
        reward = q[number, arm]
        nothing = jnp.zeros_like(reward)
        told = mctx.RecurrentFnOutput(reward=reward, discount=nothing, prior_logits=logits[number], value=nothing)
        return told, number

    root = mctx.RootFnOutput(prior_logits=logits, value=value, embedding=jnp.arange(BANDITS))
    found = jax.jit(lambda key: policy((), key, root, pull, simulations, max_depth=1).action_weights)(jax.random.key(1))
    return np.asarray((found * q).sum(-1) - value)


@pytest.mark.parametrize("simulations", [2, 4, 16, 50])
def test_gumbels_policy_is_as_good_as_the_prior_on_every_bandit(simulations):
    exact = functools.partial(mctx.qtransform_completed_by_mix_value, use_mixed_value=False)
    gained = improvement(functools.partial(mctx.gumbel_muzero_policy, qtransform=exact), simulations)
    assert gained.min() >= -1e-6
    assert gained.mean() > 0.1


def test_the_visits_of_a_plain_search_are_not():
    """The control. Completing the values with v_mix, which helps where v is a guess, gives the promise up too."""
    visits = improvement(functools.partial(mctx.muzero_policy, dirichlet_fraction=0.0), 4)
    assert (visits < -0.1).sum() > 10
    assert improvement(mctx.gumbel_muzero_policy, 4).min() < -1e-3


def test_q_is_0_before_the_first_visit_and_illegal_moves_are_out():
    q, visits = jnp.array([0.5, -0.7, 0.9]), jnp.array([3, 0, 0])
    logits = jnp.array([1.0, -2.0, ILLEGAL])
    np.testing.assert_array_equal(is_legal(logits), [True, True, False])
    np.testing.assert_array_equal(mean_values(q, visits, logits), [0.5, 0.0, -np.inf])


def test_the_range_of_a_tree_is_that_of_what_was_tried():
    q, visits = jnp.array([[0.5, -9.0], [-0.25, 9.0]]), jnp.array([[2, 0], [1, 0]])
    assert value_range(q, visits) == 0.75
    assert value_range(q, 0 * visits) == 1, "nothing to scale by"
    assert value_range(q, visits.at[1].set(0), least=0.01) == np.float32(0.01), "all alike"


def test_a_position_is_won_by_one_move_and_lost_by_all():
    legal = jnp.array([True, True, False])
    for moves, worth in (([1, -1, 0], 1), ([-1, -1, 1], -1), ([-1, 0, -1], 0), ([0, 0, 1], 0)):
        assert proven_value(jnp.array(moves), legal) == worth
    assert proven_value(jnp.array([-1, -1, -1]), ~legal & legal) == 0, "nothing to choose from proves nothing"
