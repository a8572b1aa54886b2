"""DQN's update is its pseudo-code (Mnih et al., 2015, algorithm 1) with the papers' options, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import DQN, EpsilonGreedy, Linear, Prioritised, Replay
from bellmax.spaces import Masked
from tests.paper.value_by_hand import assert_updates, begun, best_legal, outputs, spec_of, taken

SETTINGS = {"experience": Replay(), "hidden": (5, 4), "gamma": 0.9, "learning_rate": 0.02, "target_every": 2}
SETTINGS |= {"max_grad_norm": 0.5}
CASES = {
    "plain": (DQN(**SETTINGS, double=False), 1, False),
    "double": (DQN(**SETTINGS), 1, False),
    "dueling": (DQN(**SETTINGS, dueling=True, double=False), 1, False),
    "windows of three steps": (DQN(**SETTINGS, double=False), 3, False),
    "all of it, masked": (DQN(**SETTINGS | {"experience": Prioritised()}, dueling=True), 3, True),
    "plain, masked": (DQN(**SETTINGS, double=False), 1, True),
    "slow target, falling rate": (
        DQN(**SETTINGS | {"target_every": 1, "learning_rate": Linear(0.1, 0.0, 60.0)}, target_rate=0.3),
        1,
        False,
    ),
}


def targets(dqn, params, target_params, rows, _):
    """y = r + gamma Q(s', a*; theta-), a* the best by theta- or, if double, by theta."""
    by_target, by_network = (outputs(p, rows.next_obs)[:, :, 0] for p in (target_params, params))
    y = rows.reward.copy()
    for i in range(len(y)):
        action = best_legal((by_network if dqn.double else by_target)[i], rows.next_legal[i])
        if action is not None:
            y[i] += rows.discount[i] * by_target[i, action]
    return y


def terms(dqn, params, rows, y, _):
    """Q(s, a), and the square of its error / 2 within 1, its size - 1/2 beyond."""
    value = np.array([q[a] for q, a in zip(outputs(params, rows.obs)[:, :, 0], rows.action)])
    error = np.abs(y - value)
    loss = np.array([e**2 / 2 if e <= 1 else e - 1 / 2 for e in error])
    return {"loss": loss, "td_error": error, "value": value, "priority": error}


@pytest.mark.parametrize("name", CASES)
def test_updates_are_those_of_the_pseudo_code(name):
    dqn, n, masked = CASES[name]
    assert_updates(dqn, n, targets, terms, masked=masked)


def test_double_and_plain_are_told_apart():
    """The control: the loop of one option does not pass for the other."""
    pretended = lambda dqn, *rest: targets(dqn.replace(double=not dqn.double), *rest)
    for double in (True, False):
        with pytest.raises(AssertionError):
            assert_updates(DQN(**SETTINGS, double=double), 1, pretended, terms)


def test_it_acts_epsilon_greedily_among_legal_actions():
    dqn = DQN(**SETTINGS, exploration=EpsilonGreedy(Linear(1.0, 0.0, 100.0)))
    state = begun(dqn, spec_of(masked=True))  # after 50 steps: epsilon is 0.5
    obs = Masked(jnp.array([0.3, -1.0, 0.8]), jnp.array([True, True, True]))
    q = np.asarray(state.network(obs))
    illegal = int(q.argmax())
    obs = obs._replace(legal=obs.legal.at[illegal].set(False))
    keys = jax.random.split(jax.random.key(3), 4_000)
    exploring, greedily = (
        np.bincount(taken(choose, state, obs, keys), minlength=3) / 4_000 for choose in (dqn.act, dqn.greedy)
    )
    best = best_legal(q, np.asarray(obs.legal))
    expected = np.where(np.arange(3) == best, 0.75, np.where(np.arange(3) == illegal, 0.0, 0.25))
    np.testing.assert_allclose(exploring, expected, atol=0.03)
    np.testing.assert_array_equal(greedily, np.eye(3)[best])
