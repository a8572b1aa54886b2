"""Shaping by a potential changes values by the potential and no policy: Ng, Harada & Russell, 1999, Theorem 1."""

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.envs import CartPole
from bellmax.maths.shaping import shaping_reward
from bellmax.mdp import World, car_rental, from_gymnasium, random_mdp, shaped, small_gridworld, solve
from bellmax.mdp.evaluation import evaluate_policy

WORLDS = {
    "FrozenLake": lambda: from_gymnasium("FrozenLake-v1", gamma=0.95),
    "CliffWalking": lambda: from_gymnasium("CliffWalking-v1", gamma=1.0),
    "Taxi": lambda: from_gymnasium("Taxi-v3" if "Taxi-v3" in gym.registry else "Taxi-v4", gamma=0.9),
    "small grid": lambda: small_gridworld(),
    "car rental": lambda: car_rental(cars=6, most_moved=2),
    "random": lambda: random_mdp(states=40, actions=3, gamma=0.9),
}


def potential_of(mdp, seed=0):
    return np.random.default_rng(seed).normal(0, 10, mdp.states)


@pytest.mark.parametrize("name", WORLDS)
def test_values_fall_by_the_potential_and_the_best_actions_stay(name):
    mdp = WORLDS[name]()
    phi = np.where(mdp.absorbing, 0, potential_of(mdp))
    plain, other = solve(mdp), solve(shaped(mdp, phi))
    np.testing.assert_allclose(other.values, np.where(mdp.absorbing, 0, plain.values - phi), atol=1e-5)
    np.testing.assert_array_equal(other.optimal_actions, plain.optimal_actions)


def test_of_every_policy_not_only_the_best():
    mdp = WORLDS["FrozenLake"]()
    policy = np.random.default_rng(1).dirichlet(np.ones(mdp.actions), mdp.states)
    phi = np.where(mdp.absorbing, 0, potential_of(mdp))
    before, after = (evaluate_policy(model, policy).values for model in (mdp, shaped(mdp, phi)))
    np.testing.assert_allclose(after, np.where(mdp.absorbing, 0, before - phi), atol=1e-6)


@pytest.mark.parametrize("name", ["FrozenLake", "CliffWalking"])
def test_a_bonus_that_is_no_potential_changes_the_best_policy(name):
    """The control: Phi(s') alone, or a potential that is not 0 at the end."""
    mdp = WORLDS[name]()
    phi = np.abs(np.where(mdp.absorbing, 0, potential_of(mdp)))
    plain = solve(mdp).optimal_actions
    if mdp.gamma < 1:
        bribed = mdp.replace(reward=np.where(mdp.absorbing, 0, mdp.reward + phi[mdp.successor]))
        assert (solve(bribed).optimal_actions != plain)[~mdp.absorbing].any()
    kept = np.where(mdp.absorbing, np.random.default_rng(3).normal(0, 50, mdp.states), phi)
    bonus = shaping_reward(kept, kept[mdp.successor], mdp.gamma)
    wrong = mdp.replace(reward=np.where(mdp.absorbing, 0, mdp.reward + bonus))
    if mdp.absorbing.sum() > 1:  # where there is one end alone, its potential is the same for every policy
        assert (solve(wrong).optimal_actions != plain)[~mdp.absorbing].any()
    else:
        assert np.abs(solve(wrong).values - (solve(mdp).values - kept))[~mdp.absorbing].max() > 1


def test_a_model_refuses_a_potential_of_another_size():
    with pytest.raises(ValueError, match="a finite number for each of 1"):
        shaped(small_gridworld(), np.zeros(3))


def test_the_wrapper_pays_what_the_model_says():
    """A World of the shaped model, and the wrapper around the plain one's: the same keys, the same rewards."""
    mdp = WORLDS["FrozenLake"]()
    phi = np.where(mdp.absorbing, 7.0, potential_of(mdp))  # at the ends it must count as 0
    table = jnp.asarray(phi, jnp.float32)
    plain, model = bm.shaped(World(mdp), lambda state: table[state], mdp.gamma), World(shaped(mdp, phi))
    actions = jax.random.randint(jax.random.key(1), (400,), 0, 4)

    def play(env):
        def step(carry, action):
            (env_state, _), key = carry, jax.random.fold_in(jax.random.key(2), carry[1])
            env_state, outcome = env.step(env_state, action, key)
            fresh = env.reset(key)[0]
            env_state = jax.tree.map(lambda new, old: jnp.where(outcome.last, new, old), fresh, env_state)
            return (env_state, carry[1] + 1), outcome

        return jax.lax.scan(step, (env.reset(jax.random.key(3))[0], 0), actions)[1]

    ours, wanted = jax.jit(lambda: (play(plain), play(model)))()
    assert (ours.discount == 0).sum() > 20
    np.testing.assert_array_equal(ours.obs, wanted.obs)
    np.testing.assert_allclose(ours.reward, wanted.reward, atol=1e-4)


def test_a_time_limit_keeps_the_potential_and_the_score_is_the_true_one():
    env = bm.Shaped(CartPole(max_steps=3), lambda obs: 10 + obs[0], gamma=0.9)
    env_state, obs = env.reset(jax.random.key(0))
    for time in range(3):
        before = 10 + obs[0]
        env_state, outcome = env.step(env_state, jnp.int32(time % 2), jax.random.key(0))
        obs = outcome.obs
        np.testing.assert_allclose(outcome.reward, 1 + 0.9 * (10 + obs[0]) - before, rtol=1e-5)
    assert outcome.last
    assert outcome.discount == 1
    assert env.for_evaluation == CartPole(max_steps=3)
    fallen = env_state._replace(inner=env_state.inner._replace(motion=jnp.array([0.0, 0.0, 0.3, 0.0])))
    outcome = env.step(fallen, jnp.int32(0), jax.random.key(0))[1]
    np.testing.assert_allclose(outcome.reward, 1 - env_state.potential, rtol=1e-5)


def test_on_the_host_it_is_the_same():
    gamma, phi = 0.9, lambda obs: 10 + float(obs[0])
    source = bm.shaped("CartPole-v1", phi, gamma)
    hosted, plain = source.vector(1, 0), source.for_evaluation.vector(1, 0)
    assert source.for_evaluation.around == ()
    assert source.reference is None, "a function has no name"
    before = hosted.reset()
    np.testing.assert_array_equal(plain.reset(), before)
    ended = 0
    for _ in range(60):
        shaped_arrival, arrival = (envs.step(np.array([1])) for envs in (hosted, plain))
        np.testing.assert_array_equal(shaped_arrival.next_obs, arrival.next_obs)
        after = gamma * arrival.discount[0] * phi(arrival.next_obs[0])
        np.testing.assert_allclose(shaped_arrival.reward[0], 1 + after - phi(before[0]), atol=1e-5)
        before, ended = arrival.obs, ended + int(arrival.last[0])
    assert ended > 2
    hosted.close()
    plain.close()


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match=r"Shaped\.potential = 3\.0: give a"):
        bm.Shaped(CartPole(), 3.0)
