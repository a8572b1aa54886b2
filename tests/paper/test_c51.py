"""C51's update is its pseudo-code (Bellemare et al., 2017, algorithm 1), in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Linear, Prioritised, Replay
from bellmax.algorithms.value.c51 import C51
from tests.paper.value_by_hand import assert_updates, begun, best_legal, outputs, softmax, spec_of

SETTINGS = {"experience": Replay(), "hidden": (5,), "gamma": 0.9, "learning_rate": 0.02, "target_every": 2}
SETTINGS |= {"max_grad_norm": 0.3, "atoms": 5, "v_min": -2.0, "v_max": 1.0}
CASES = {
    "plain": (C51(**SETTINGS), 1, False),
    "windows of three steps, masked": (C51(**SETTINGS | {"experience": Prioritised()}), 3, True),
    "slow target, falling rate": (
        C51(**SETTINGS | {"target_every": 1, "learning_rate": Linear(0.1, 0.0, 60.0)}, target_rate=0.3),
        1,
        False,
    ),
}


def projected(c51, reward, discount, probabilities):
    """Algorithm 1, an atom at a time; with no future all of it is the reward's."""
    dz = (c51.v_max - c51.v_min) / (c51.atoms - 1)
    m = np.zeros(c51.atoms)
    for j, p in enumerate(probabilities):
        value = min(max(reward + discount * (c51.v_min + j * dz), c51.v_min), c51.v_max)
        place = (value - c51.v_min) / dz
        below, above = int(np.floor(place)), int(np.ceil(place))
        if below == above:
            m[below] += p
        else:
            m[below] += p * (above - place)
            m[above] += p * (place - below)
    return m


def targets(c51, params, target_params, rows, _):
    """m: the projected distribution of the action that is best by the mean, both of theta-."""
    z = np.linspace(c51.v_min, c51.v_max, c51.atoms)
    probabilities, m = softmax(outputs(target_params, rows.next_obs, c51.atoms)), []
    for i in range(len(rows.reward)):
        action = best_legal(probabilities[i] @ z, rows.next_legal[i])
        discount = 0.0 if action is None else rows.discount[i]
        m.append(projected(c51, rows.reward[i], discount, probabilities[i, action or 0]))
    return np.array(m)


def terms(c51, params, rows, m, _):
    """sum_i m_i (log m_i - log p_i)."""
    z = np.linspace(c51.v_min, c51.v_max, c51.atoms)
    p = np.array([probs[a] for probs, a in zip(softmax(outputs(params, rows.obs, c51.atoms)), rows.action)])
    kl = np.array([sum(mi[mi > 0] * np.log(mi[mi > 0] / pi[mi > 0])) for mi, pi in zip(m, p)])
    return {"loss": kl, "td_error": np.abs(m @ z - p @ z), "value": p @ z, "priority": kl}


@pytest.mark.parametrize("name", CASES)
def test_updates_are_those_of_the_pseudo_code(name):
    c51, n, masked = CASES[name]
    assert_updates(c51, n, targets, terms, masked=masked)


def test_the_end_of_an_episode_is_told_apart():
    """The control: a loop that bootstraps behind a termination does not pass."""
    c51 = C51(**SETTINGS)
    endless = lambda *args: targets(*args[:3], args[3]._replace(discount=np.full_like(args[3].discount, 0.9)), None)
    with pytest.raises(AssertionError):
        assert_updates(c51, 1, endless, terms)


def test_it_acts_by_the_mean():
    c51 = C51(**SETTINGS)
    state, obs = begun(c51, spec_of(masked=False)), jnp.array([0.3, -1.0, 0.8])
    z = np.linspace(c51.v_min, c51.v_max, c51.atoms)
    q = softmax(np.asarray(state.network(obs), np.float64)) @ z
    assert c51.greedy(state, obs, jax.random.key(0)).action == q.argmax()


def test_a_range_without_width_is_refused():
    with pytest.raises(ValueError, match=r"C51\.v_max = -3\.0: it must be greater than v_min = 2\.0"):
        C51(v_min=2.0, v_max=-3.0)
