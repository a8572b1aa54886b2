"""IQN's update is the paper's eq. 3 (Dabney et al., 2018), in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Prioritised, Replay
from bellmax.algorithms.value.iqn import IQN
from tests.paper.test_qr_dqn import regression
from tests.paper.value_by_hand import assert_updates, begun, best_legal, dense, features, spec_of

SETTINGS = {"experience": Replay(), "hidden": (5, 4), "gamma": 0.9, "learning_rate": 0.02, "target_every": 2}
SETTINGS |= {"max_grad_norm": 0.5, "samples": 3, "target_samples": 4, "choice_samples": 2, "cosines": 5}
CASES = {
    "plain": (IQN(**SETTINGS), 1, False),
    "windows of three steps, masked": (IQN(**SETTINGS | {"experience": Prioritised()}), 3, True),
    "narrow, careful": (IQN(**SETTINGS, kappa=0.4, risk=0.2), 1, False),
}


def quantiles(params, x, tau):
    """Z_tau(x, .), x [batch, obs], tau [batch, n] -> [batch, actions, n]; phi_j(tau) of eq. 4."""
    psi, columns = features(params, x), []
    for k in range(tau.shape[1]):
        waves = np.stack([np.cos(np.pi * i * tau[:, k]) for i in range(5)], 1)
        phi = np.maximum(dense(params, ".embedding", waves), 0)
        f = np.maximum(dense(params, ".mlp.layers[0]", psi * phi), 0)
        columns.append(dense(params, ".head", f))
    return np.stack(columns, -1)


def draws(iqn, network, size, key):
    """tau for choosing a*, tau' for its samples, tau for the quantiles that are moved."""
    next_key, key = jax.random.split(key)
    both = np.float64(jax.random.uniform(next_key, (size, 2 + 4)))
    return iqn.risk * both[:, :2], both[:, 2:], np.float64(jax.random.uniform(key, (size, 3)))


def targets(iqn, params, target_params, rows, drawn):
    """r + gamma Z_tau'_j(s', a*), a* the best by the mean of K samples, all by the copy: [batch, N']."""
    choice, z = (quantiles(target_params, rows.next_obs, tau) for tau in drawn[:2])
    y = []
    for i in range(len(rows.reward)):
        action = best_legal([sum(samples) / 2 for samples in choice[i]], rows.next_legal[i])
        y.append(rows.reward[i] + (0.0 if action is None else rows.discount[i] * z[i, action]) * np.ones(4))
    return np.array(y)


def terms(iqn, params, rows, y, drawn):
    tau = drawn[2]
    z = np.array([samples[a] for samples, a in zip(quantiles(params, rows.obs, tau), rows.action)])
    loss = np.array([regression(*row, iqn.kappa) for row in zip(z, y, tau)])
    value = z.mean(1)
    return {"loss": loss, "td_error": np.abs(y.mean(1) - value), "value": value, "priority": loss}


@pytest.mark.parametrize("name", CASES)
def test_updates_are_those_of_the_pseudo_code(name):
    iqn, n, masked = CASES[name]
    assert_updates(iqn, n, targets, terms, draws, masked)


@pytest.mark.parametrize("risk", [1.0, 0.1])
def test_it_acts_by_the_mean_of_samples_up_to_the_risk(risk):
    iqn = IQN(**SETTINGS | {"choice_samples": 2_000}, risk=risk)
    state, obs = begun(iqn, spec_of(masked=False)), jnp.array([0.3, -1.0, 0.8])
    z = np.asarray(state.network(obs, risk * (jnp.arange(1_000) + 0.5) / 1_000)).mean(1)
    assert np.diff(np.sort(z))[-1] > 0.05, "one is best by far"
    np.testing.assert_allclose(iqn.q(state.network, obs, jax.random.key(1)), z, atol=0.05)
    assert iqn.greedy(state, obs, jax.random.key(0)).action == z.argmax()
