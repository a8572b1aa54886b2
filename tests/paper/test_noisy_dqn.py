"""NoisyNet-DQN's update is the papers' eqs. 16 and 17 (Fortunato et al., 2018), in NumPy; the noise is data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Prioritised, Replay
from bellmax.algorithms.value.noisy_dqn import NoisyDQN
from bellmax.networks.noisy import quiet
from tests.paper import test_dqn
from tests.paper.by_hand import by_name
from tests.paper.value_by_hand import assert_updates, begun, noise_of, spec_of, taken, with_noise

SETTINGS = {"experience": Replay(), "hidden": (4,), "gamma": 0.9, "learning_rate": 0.02, "target_every": 2}
SETTINGS |= {"max_grad_norm": 0.5}
CASES = {
    "plain": (NoisyDQN(**SETTINGS, double=False), 1, False),
    "double": (NoisyDQN(**SETTINGS), 1, False),
    "all of it, masked": (NoisyDQN(**SETTINGS | {"experience": Prioritised()}, dueling=True), 3, True),
}


def draws(noisy_dqn, network, size, key):
    """eps of what learns, eps' of the copy, eps'' of what chooses: one draw each for the whole batch."""
    next_key, noise_key = jax.random.split(key)
    target_key, choice_key = jax.random.split(next_key)
    return tuple(noise_of(network, key) for key in (noise_key, target_key, choice_key))


def targets(noisy_dqn, params, target_params, rows, drawn):
    chooses, copy = with_noise(params, drawn[2]), with_noise(target_params, drawn[1])
    return test_dqn.targets(noisy_dqn, chooses, copy, rows, None)


def terms(noisy_dqn, params, rows, y, drawn):
    return test_dqn.terms(noisy_dqn, with_noise(params, drawn[0]), rows, y, None)


@pytest.mark.parametrize("name", CASES)
def test_updates_are_those_of_the_pseudo_code(name):
    noisy_dqn, n, masked = CASES[name]
    assert_updates(noisy_dqn, n, targets, terms, draws, masked)


def test_the_copy_has_noise_of_its_own():
    """The control: one noise for both networks does not pass."""
    shared = lambda *args: (draws(*args)[0],) * 3
    with pytest.raises(AssertionError):
        assert_updates(NoisyDQN(**SETTINGS), 1, targets, terms, shared)


def test_it_acts_by_one_draw_each_and_greedily_by_the_means():
    noisy_dqn = NoisyDQN(**SETTINGS)
    state, obs = begun(noisy_dqn, spec_of(masked=False)), jnp.array([0.3, -1.0, 0.8])
    keys = jax.random.split(jax.random.key(0), 200)
    exploring = taken(noisy_dqn.act, state, obs, keys)
    expected = [
        np.asarray(
            test_dqn.outputs(
                with_noise(by_name(state.network), noise_of(state.network, jax.random.split(key)[0])),
                np.asarray(obs, np.float64)[None],
            )
        ).argmax()
        for key in keys[:5]
    ]
    assert exploring[:5].tolist() == expected
    assert len(set(exploring.tolist())) > 1, "the noise explores"
    best = np.asarray(quiet(state.network)(obs)).argmax()
    assert (taken(noisy_dqn.greedy, state, obs, keys) == best).all()


def test_before_the_first_update_it_acts_evenly():
    noisy_dqn = NoisyDQN(**SETTINGS, sigma=0.0)
    state, obs = begun(noisy_dqn, spec_of(masked=False))._replace(steps=jnp.zeros(())), jnp.array([0.3, -1.0, 0.8])
    share = np.bincount(taken(noisy_dqn.act, state, obs, jax.random.split(jax.random.key(0), 3_000))) / 3_000
    np.testing.assert_allclose(share, 1 / 3, atol=0.04)
