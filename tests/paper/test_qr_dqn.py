"""QR-DQN's update is its pseudo-code (Dabney et al., 2018, algorithm 1), in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Linear, Prioritised, Replay
from bellmax.algorithms.value.qr_dqn import QRDQN
from tests.paper.value_by_hand import assert_updates, begun, best_legal, outputs, spec_of

SETTINGS = {"experience": Replay(), "hidden": (5,), "gamma": 0.9, "learning_rate": 0.02, "target_every": 2}
SETTINGS |= {"max_grad_norm": 0.5, "quantiles": 4}
CASES = {
    "plain": (QRDQN(**SETTINGS), 1, False),
    "windows of three steps, masked": (QRDQN(**SETTINGS | {"experience": Prioritised()}), 3, True),
    "narrow, slow target, falling rate": (
        QRDQN(**SETTINGS | {"target_every": 1, "learning_rate": Linear(0.1, 0.0, 60.0)}, target_rate=0.3, kappa=0.4),
        1,
        False,
    ),
}


def targets(qr, params, target_params, rows, _):
    """r + gamma theta_j(s', a*), a* = argmax_a sum_j theta_j(s', a) / N, all by the copy: [batch, N]."""
    theta, y = outputs(target_params, rows.next_obs, qr.quantiles), []
    for i in range(len(rows.reward)):
        action = best_legal([sum(z) / qr.quantiles for z in theta[i]], rows.next_legal[i])
        y.append(rows.reward[i] + (0.0 if action is None else rows.discount[i] * theta[i, action]) * np.ones(4))
    return np.array(y)


def regression(quantiles, y, tau, kappa):
    """sum_i E_j rho_tau_i(y_j - theta_i), rho_tau(u) = |tau - 1[u < 0]| L(u) / kappa."""
    total = 0.0
    for theta_i, tau_i in zip(quantiles, tau):
        u = np.asarray(y) - theta_i
        huber = np.where(abs(u) <= kappa, u**2 / 2, kappa * (abs(u) - kappa / 2))
        total += sum(abs(tau_i - (u < 0)) * huber / kappa) / len(y)
    return total


def terms(qr, params, rows, y, _):
    theta = np.array([z[a] for z, a in zip(outputs(params, rows.obs, qr.quantiles), rows.action)])
    tau = [(2 * i - 1) / (2 * qr.quantiles) for i in range(1, qr.quantiles + 1)]
    loss = np.array([regression(*row, tau, qr.kappa) for row in zip(theta, y)])
    value = theta.mean(1)
    return {"loss": loss, "td_error": np.abs(y.mean(1) - value), "value": value, "priority": loss}


@pytest.mark.parametrize("name", CASES)
def test_updates_are_those_of_the_pseudo_code(name):
    qr, n, masked = CASES[name]
    assert_updates(qr, n, targets, terms, masked=masked)


def test_the_axes_are_told_apart():
    """The control: quantiles that regress on their own targets alone do not pass."""

    def paired(qr, params, rows, y, drawn):
        found = terms(qr, params, rows, y, drawn)
        theta = np.array([z[a] for z, a in zip(outputs(params, rows.obs, 4), rows.action)])
        tau = [0.125, 0.375, 0.625, 0.875]
        loss = [sum(regression([q], [g], [t], qr.kappa) for q, g, t in zip(*row, tau)) for row in zip(theta, y)]
        return found | {"loss": np.array(loss), "priority": np.array(loss)}

    with pytest.raises(AssertionError):
        assert_updates(QRDQN(**SETTINGS), 1, targets, paired)


def test_it_acts_by_the_mean():
    qr = QRDQN(**SETTINGS)
    state, obs = begun(qr, spec_of(masked=False)), jnp.array([0.3, -1.0, 0.8])
    assert qr.greedy(state, obs, jax.random.key(0)).action == np.asarray(state.network(obs)).mean(1).argmax()
