"""The Brax adaptor: Brax's own numbers, its ends told apart, a start of its own for each episode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("brax")
from brax import envs

from bellmax.envs.adaptors.brax import Brax, names
from bellmax.envs.names import UnknownEnvironment, find
from bellmax.spaces import Box

KEY = jax.random.key(0)
NAME = "inverted_pendulum"


def test_names_and_options():
    env = find(f"brax:{NAME}", backend="spring", max_steps=7)
    assert env == Brax(NAME, {"backend": "spring"}, 7)
    assert {"ant", "halfcheetah", "hopper"} <= set(names())
    assert env.spec.obs == Box((4,))
    assert env.spec.action == Box((1,), -1.0, 1.0)
    with pytest.raises(UnknownEnvironment, match="brax:halfcheetah"):
        find("brax:half_cheetah")
    with pytest.raises(ValueError, match="has no option 'bakend'"):
        Brax(NAME, {"bakend": "spring"})


def test_an_episode_is_braxs_and_ends_where_it_falls():
    env, theirs = Brax(NAME, max_steps=400), envs.get_environment(NAME)
    step, their_step = jax.jit(env.step), jax.jit(theirs.step)
    state, obs = jax.jit(env.reset)(KEY)
    other = jax.jit(theirs.reset)(KEY)
    np.testing.assert_allclose(obs, other.obs, atol=1e-6)
    for _ in range(400):
        action = jnp.full(1, 0.3)
        state, outcome = step(state, action, KEY)
        other = their_step(other, action)
        np.testing.assert_allclose(outcome.obs, other.obs, atol=1e-4)
        assert float(outcome.reward) == pytest.approx(float(other.reward), abs=1e-4)
        assert bool(outcome.last) == bool(other.done) == (float(outcome.discount) == 0)
        if outcome.last:
            break
    assert 2 < int(state.time) < 400
    assert abs(float(outcome.obs[1])) > 0.2, "the final observation shows it fallen"


def test_a_time_limit_cuts_and_does_not_terminate():
    env = Brax(NAME, max_steps=2)
    state, _ = env.reset(KEY)
    found = []
    for _ in range(2):
        state, outcome = jax.jit(env.step)(state, jnp.zeros(1), KEY)
        found.append((bool(outcome.last), float(outcome.discount)))
    assert found == [(False, 1), (True, 1)]


def test_states_can_be_scanned_and_starts_differ():
    env = Brax(NAME)
    states, obs = jax.jit(jax.vmap(env.reset))(jax.random.split(KEY, 3))
    assert len(np.unique(np.asarray(obs)[:, 0])) == 3
    state = jax.tree.map(lambda x: x[0], states)
    after, _ = jax.jit(lambda s: jax.lax.scan(lambda s, _: env.step(s, jnp.zeros(1), KEY), s, length=3))(state)
    assert int(after.time) == 3
