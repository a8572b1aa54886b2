"""What is imagined in a model: the steps the model would take, and nothing after an episode's end."""

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.core import Decision
from bellmax.envs.cart_pole import CartPole
from bellmax.envs.random_walk import RandomWalk
from bellmax.models import imagine


def test_imagined_steps_are_those_of_the_world_one_by_one():
    world, choose = CartPole(), lambda obs, key: Decision(jnp.int32(obs[2] > 0), {"seen": obs[2]})
    state, obs = jax.vmap(world.reset)(jax.random.split(jax.random.key(0), 3))
    steps = jax.jit(lambda: imagine(world, choose, state, obs, jax.random.key(1), 5))()
    for i in range(3):
        one, seen = jax.tree.map(lambda x, i=i: x[i], (state, obs))
        for t in range(5):
            action = int(seen[2] > 0)
            one, outcome = world.step(one, jnp.int32(action), jax.random.key(7))  # CartPole leaves nothing to chance
            np.testing.assert_allclose(steps.obs[t, i], seen, atol=1e-6)
            np.testing.assert_allclose(steps.extras["seen"][t, i], seen[2], atol=1e-6)
            np.testing.assert_allclose(steps.next_obs[t, i], outcome.obs, atol=1e-6)
            assert steps.action[t, i] == action
            assert steps.reward[t, i] == outcome.reward
            seen = outcome.obs


def test_what_follows_an_end_has_no_weight():
    world = RandomWalk(states=1, right=1.0)  # every step ends it, on the right, and pays 1
    state, obs = jax.vmap(world.reset)(jax.random.split(jax.random.key(0), 4))
    steps = imagine(world, lambda obs, key: Decision(jnp.int32(0)), state, obs, jax.random.key(1), 3)
    np.testing.assert_array_equal(steps.weight, [[1] * 4, [0] * 4, [0] * 4])
    np.testing.assert_array_equal((steps.reward * steps.weight).sum(0), [1] * 4)
    np.testing.assert_array_equal(steps.discount[0], [0] * 4)


def test_chance_differs_from_one_to_the_next():
    world = RandomWalk(states=99)
    state, obs = jax.vmap(world.reset)(jax.random.split(jax.random.key(0), 16))
    steps = imagine(world, lambda obs, key: Decision(jnp.int32(0)), state, obs, jax.random.key(1), 16)
    assert len(np.unique(np.asarray(steps.obs), axis=1).T) > 10
