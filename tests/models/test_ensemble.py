"""The ensemble on a small linear world: what it foresees, what it does not, and who is asked."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.core import Decision, Spec, Transition
from bellmax.maths.distributions import Normal
from bellmax.models import Ensemble, EnsembleWorld, imagine
from bellmax.models.ensemble import log_likelihood, uncertainty
from bellmax.spaces import Box, Discrete
from tests.experience.made_up import quick

SPEC = Spec(Box((2,), -9.0, 9.0), Box((1,), -1.0, 1.0))
SMALL = Ensemble(members=4, elites=3, hidden=(24, 24), learning_rate=3e-3)
MOVES, PUSH, NOISE = np.array([[0.0, 0.4], [-0.4, -0.2]]), np.array([0.0, 0.8]), 0.05
TOO_FAR = 1.5  # it terminates with the first number above this


def linear(seed, count=600):
    """Steps [count] of S' = S + M S + P A + noise, R = S_1 - A^2, from states drawn around 0."""
    draw = np.random.default_rng(seed)
    obs, action = draw.normal(size=(count, 2)), draw.uniform(-1, 1, (count, 1))
    next_obs = obs + obs @ MOVES.T + action * PUSH + NOISE * draw.normal(size=(count, 2))
    reward, over = obs[:, 0] - action[:, 0] ** 2 + NOISE * draw.normal(size=count), next_obs[:, 0] > TOO_FAR
    steps = Transition(obs, action, reward, 1.0 - over, over, next_obs, {}, np.ones(count))
    return jax.tree.map(lambda x: jnp.asarray(x, bool if x.dtype == bool else jnp.float32), steps)


@functools.cache
def taught(shuffled=False, seed=0, updates=800):
    """The state after so many gradient steps on batches of 64."""
    steps = linear(seed)
    if shuffled:  # where steps lead is that of others
        other = np.random.default_rng(1).permutation(len(steps.reward))
        steps = steps._replace(next_obs=steps.next_obs[other], reward=steps.reward[other])
    held_out = jnp.arange(len(steps.reward)) % 5 == 0
    return train(steps, held_out, jax.random.key(seed), updates)


@functools.partial(jax.jit, static_argnums=3)
def train(steps, held_out, key, updates):
    def learn(state, key):
        which, key = jax.random.randint(key, (64,), 0, len(held_out)), jax.random.fold_in(key, 1)
        return SMALL.learn(state, jax.tree.map(lambda x: x[which], steps), held_out[which], key)

    state = SMALL.observe(SMALL.init(key, SPEC), steps._replace(weight=1.0 - held_out))
    return jax.lax.scan(learn, state, jax.random.split(key, updates))[0]


@quick
def learned(state, steps, held_out):
    return SMALL.learn(state, steps, held_out, jax.random.key(0))[0]


def nats_over_a_constant(state):
    """By how much the elites foresee fresh steps better than one normal for all that was ever seen."""
    seen, fresh = linear(0), linear(7)
    change = lambda steps: np.concatenate([steps.next_obs - steps.obs, steps.reward[:, None]], -1)
    constant = Normal(change(seen).mean(0), np.log(change(seen).std(0))).log_prob(change(fresh))
    return float((log_likelihood(SMALL.best(state), fresh) - constant).mean())


def test_it_foresees_better_than_a_constant_and_from_shuffled_steps_it_does_not():
    # A normal with the noise's deviation against one with the changes': log(0.8 / 0.05) and so on, some 7 nats in all.
    assert nats_over_a_constant(taught()) > 5
    assert nats_over_a_constant(taught(shuffled=True)) < 0.1


def test_members_disagree_where_there_were_no_data():
    near, action = linear(8).obs, linear(8).action
    there, beyond = (uncertainty(taught(), x, action).mean() for x in (near, 6 * near))
    assert beyond > 5 * there
    assert there < 0.1, "of the deviation of what is foreseen"


def test_imagined_steps_are_like_real_ones_and_end_where_those_do():
    world, steps = EnsembleWorld(SMALL.best(taught())), linear(9)
    key, action = jax.random.key(0), steps.action
    now, outcome = jax.vmap(world.step)(steps.obs, action, jax.random.split(key, len(action)))
    np.testing.assert_array_equal(now, outcome.obs)
    off = np.asarray(outcome.obs - steps.next_obs)  # two noises, the world's and the model's
    assert np.abs(off.mean(0)).max() < 0.03
    assert off.std(0) == pytest.approx([NOISE * 2**0.5] * 2, rel=0.35)
    assert np.abs(outcome.reward - steps.reward).mean() < 0.15
    sure = np.abs(steps.next_obs[:, 0] - TOO_FAR) > 0.3
    agrees = np.asarray(outcome.last == steps.last)
    assert agrees[sure].mean() > 0.97
    assert np.asarray(steps.last).any()
    np.testing.assert_array_equal(outcome.discount, 1.0 - outcome.last)
    imagined = imagine(world, lambda obs, key: Decision(jnp.ones(1)), steps.obs[:3], steps.obs[:3], key, 40)
    assert (np.abs(imagined.obs) <= 9).all(), "cut to the bounds of the space"
    assert (imagined.weight[:, steps.obs[:3, 0] < 0].sum(0) < 40).all(), "pushed like this all end some day"


def test_the_elites_are_those_that_foresee_best_what_is_held_out():
    state, steps = taught(), linear(3, 20)
    spoilt = jax.tree.map(lambda x: x.at[1].add(3.0) if x.ndim > 2 else x, state.members)  # the second one's weights
    state = state._replace(members=spoilt, losses=jnp.zeros(4), learned=jnp.int32(0))
    state = learned(state, steps, jnp.arange(20) < 5)
    assert state.losses.argmax() == 1
    expected = np.argsort(state.losses)[:3]
    np.testing.assert_array_equal(SMALL.best(state).losses, state.losses[expected])
    for one, all_of_them in zip(jax.tree.leaves(SMALL.best(state).members), jax.tree.leaves(state.members)):
        np.testing.assert_array_equal(one, all_of_them[expected])


def test_what_is_held_out_is_never_trained_on_and_what_is_not_is():
    steps, held_out = linear(4, 20), jnp.arange(20) < 5
    other = steps._replace(reward=steps.reward.at[2].add(5.0), next_obs=steps.next_obs.at[4].add(5.0))
    one, same = (learned(taught(), batch, held_out) for batch in (steps, other))
    for x, y in zip(jax.tree.leaves(one.members), jax.tree.leaves(same.members)):
        np.testing.assert_array_equal(x, y)
    assert (one.losses < same.losses).all()
    moved = learned(taught(), other, jnp.zeros(20, bool))
    kept = learned(taught(), steps, jnp.zeros(20, bool))
    assert any((x != y).any() for x, y in zip(jax.tree.leaves(moved.members), jax.tree.leaves(kept.members)))


def test_what_it_cannot_foresee_is_refused():
    with pytest.raises(ValueError, match=r"observation space Discrete\(n=3\): this model foresees numbers"):
        SMALL.init(jax.random.key(0), Spec(Discrete(3), SPEC.action))
    with pytest.raises(ValueError, match=r"Box of floats"):
        SMALL.init(jax.random.key(0), Spec(Box((8, 8, 3)), SPEC.action))
    with pytest.raises(ValueError, match=r"Ensemble.elites = 5: there are 4 members"):
        SMALL.replace(elites=5)
    with pytest.raises(ValueError, match="branch from real observations"):
        EnsembleWorld(taught()).reset(jax.random.key(0))
