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
    with pytest.raises(ValueError, match="does not take bakend"):
        Brax(NAME, {"bakend": "spring"})


def test_an_episode_is_braxs_until_it_is_cut_and_beyond_to_where_it_falls():
    """Brax's own step from the same state; a time limit of 3 cuts, and does not terminate."""
    env, theirs = Brax(NAME, max_steps=3), envs.get_environment(NAME)
    step, their_step = jax.jit(env.step), jax.jit(theirs.step)
    states, obs = jax.jit(jax.vmap(env.reset))(jax.random.split(KEY, 3))
    assert len(np.unique(np.asarray(obs)[:, 0])) == 3, "starts differ"
    state = jax.tree.map(lambda x: x[0], states)
    other, action = state.inner, jnp.full(1, 0.3)
    for time in range(1, 200):
        before = jax.tree.map(jnp.shape, state)
        state, outcome = step(state, action, KEY)
        other = their_step(other, action)
        assert jax.tree.map(jnp.shape, state) == before
        np.testing.assert_allclose(outcome.obs, other.obs, atol=1e-4)
        assert float(outcome.reward) == pytest.approx(float(other.reward), abs=1e-4)
        assert float(outcome.discount) == 1 - float(other.done)
        assert bool(outcome.last) == (time >= 3 or bool(other.done))
        if other.done:
            break
    assert 3 < time < 199
    assert abs(float(outcome.obs[1])) > 0.2, "the final observation shows it fallen"
