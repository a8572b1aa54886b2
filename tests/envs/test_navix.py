"""The Navix adaptor: Navix's own numbers, its ends told apart, no reset inside the step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("navix")
import navix

from bellmax.envs.adaptors.navix import Navix, names
from bellmax.envs.names import UnknownEnvironment, find
from bellmax.spaces import Box, Discrete, is_image

KEY = jax.random.key(0)
NAME = "Navix-Empty-5x5-v0"
LEFT, RIGHT, FORWARD = 0, 1, 2


def walked(env, actions):
    state, _ = env.reset(KEY)
    return jax.jit(lambda s: jax.lax.scan(lambda s, a: env.step(s, a, KEY), s, jnp.int32(actions)))(state)[1]


def test_names_and_specs():
    env = find(f"navix:{NAME}", max_steps=9)
    assert env == Navix(NAME, max_steps=9)
    assert "Navix-DoorKey-5x5-v0" in names()
    assert env.spec.obs == Box((7, 7, 3), 0.0, 10.0, "uint8")
    assert is_image(env.spec.obs)
    assert env.spec.action == Discrete(7)
    assert Navix(NAME, shown="symbolic").spec.obs.shape == (5, 5, 3)
    with pytest.raises(UnknownEnvironment, match=f"navix:{NAME}"):
        find("navix:Empty-5x5")
    with pytest.raises(ValueError, match="does not take gama"):
        Navix(NAME, {"gama": 0.9})


def test_the_goal_terminates_and_is_worth_1():
    # From the top left corner of 3 x 3 free cells, looking right, to the bottom right one.
    outcomes = walked(Navix(NAME), [FORWARD, FORWARD, RIGHT, FORWARD, FORWARD])
    np.testing.assert_array_equal(outcomes.reward, [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(outcomes.last, [False] * 4 + [True])
    np.testing.assert_array_equal(outcomes.discount, [1, 1, 1, 1, 0])


def test_a_time_limit_cuts_and_does_not_terminate():
    outcomes = walked(Navix(NAME, max_steps=3), [LEFT] * 3)
    np.testing.assert_array_equal(outcomes.last, [False, False, True])
    np.testing.assert_array_equal(outcomes.discount, [1, 1, 1])


def test_observations_are_navixs_and_within_their_bounds():
    name = "Navix-DoorKey-Random-5x5-v0"
    env = Navix(name)
    theirs = navix.make(name, observation_fn=navix.observations.symbolic_first_person)
    state, obs = env.reset(KEY)
    now, seen = theirs.reset(KEY), []
    np.testing.assert_array_equal(obs, now.observation)
    step, their_step = jax.jit(env.step), jax.jit(theirs._step)
    for action in np.random.default_rng(0).integers(7, size=60):
        state, outcome = step(state, jnp.int32(action), KEY)
        now = their_step(now, jnp.int32(action))
        np.testing.assert_array_equal(outcome.obs, now.observation)
        assert outcome.obs.dtype == jnp.uint8
        seen.append(int(outcome.obs.max()))
        if outcome.last:
            break
    assert 2 < max(seen) <= 10
