"""Rainbow's update is the paper's (Hessel et al., 2018, section "The integrated agent"), in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Linear, Prioritised
from bellmax.algorithms.value.rainbow import Rainbow
from bellmax.networks.noisy import quiet
from tests.paper import test_c51
from tests.paper.test_noisy_dqn import draws
from tests.paper.value_by_hand import assert_updates, begun, best_legal, outputs, softmax, spec_of, taken, with_noise

SETTINGS = {"hidden": (4,), "gamma": 0.9, "learning_rate": 0.02, "target_every": 2, "max_grad_norm": 0.3}
SETTINGS |= {"atoms": 5, "v_min": -2.0, "v_max": 1.0}
CASES = {
    "windows of three steps": (Rainbow(**SETTINGS), 3, False),
    "windows of one, masked, slow target": (Rainbow(**SETTINGS | {"target_every": 1}, target_rate=0.3), 1, True),
}


def targets(rainbow, params, target_params, rows, drawn):
    """m: the projected distribution, by the copy, of the action that is best by the mean, by the network."""
    z = np.linspace(rainbow.v_min, rainbow.v_max, rainbow.atoms)
    chooses = softmax(outputs(with_noise(params, drawn[2]), rows.next_obs, rainbow.atoms)) @ z
    probabilities, m = softmax(outputs(with_noise(target_params, drawn[1]), rows.next_obs, rainbow.atoms)), []
    for i in range(len(rows.reward)):
        action = best_legal(chooses[i], rows.next_legal[i])
        discount = 0.0 if action is None else rows.discount[i]
        m.append(test_c51.projected(rainbow, rows.reward[i], discount, probabilities[i, action or 0]))
    return np.array(m)


def terms(rainbow, params, rows, m, drawn):
    return test_c51.terms(rainbow, with_noise(params, drawn[0]), rows, m, None)


@pytest.mark.parametrize("name", CASES)
def test_updates_are_those_of_the_paper(name):
    rainbow, n, masked = CASES[name]
    assert_updates(rainbow, n, targets, terms, draws, masked)


def test_double_is_told_apart():
    """The control: the action that the copy thinks best does not pass."""
    single = lambda rainbow, params, target_params, rows, drawn: targets(
        rainbow, target_params, target_params, rows, (drawn[0], drawn[1], drawn[1])
    )
    with pytest.raises(AssertionError):
        assert_updates(Rainbow(**SETTINGS), 3, single, terms, draws)


def test_it_is_all_six():
    rainbow = Rainbow()
    assert rainbow.experience == Prioritised(n=3, alpha=0.5, beta=Linear(0.4, 1.0))
    assert rainbow.atoms == 51
    state = begun(rainbow, spec_of(masked=False))
    assert quiet(state.network).value is not None, "dueling"


def test_it_evaluates_by_the_means():
    rainbow = Rainbow(**SETTINGS)
    state, obs = begun(rainbow, spec_of(masked=False)), jnp.array([0.3, -1.0, 0.8])
    z = np.linspace(rainbow.v_min, rainbow.v_max, rainbow.atoms)
    q = softmax(np.asarray(quiet(state.network)(obs), np.float64)) @ z
    keys = jax.random.split(jax.random.key(0), 200)
    greedily, exploring = (taken(choose, state, obs, keys) for choose in (rainbow.greedy, rainbow.act))
    assert (greedily == q.argmax()).all()
    assert len(set(exploring.tolist())) > 1, "the noise explores"


def test_before_the_first_update_it_acts_evenly():
    rainbow = Rainbow(**SETTINGS, sigma=0.0)
    state, obs = begun(rainbow, spec_of(masked=False))._replace(steps=jnp.zeros(())), jnp.array([0.3, -1.0, 0.8])
    share = np.bincount(taken(rainbow.act, state, obs, jax.random.split(jax.random.key(0), 3_000))) / 3_000
    np.testing.assert_allclose(share, 1 / 3, atol=0.04)


def test_a_range_without_width_is_refused():
    with pytest.raises(ValueError, match=r"Rainbow\.v_max = 1\.0: it must be greater than v_min = 1\.0"):
        Rainbow(v_min=1.0, v_max=1.0)
