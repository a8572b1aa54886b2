"""Discrete CQL's update is eq. 4 of Kumar et al., 2020, on double Q-learning's targets, in NumPy."""

import numpy as np
import pytest

from bellmax import Dataset, DiscreteCQL, Linear
from tests.paper.value_by_hand import assert_updates, best_legal, outputs

SETTINGS = {"hidden": (5, 4), "gamma": 0.9, "learning_rate": 0.02, "target_every": 2, "max_grad_norm": 0.5}
CASES = {
    "plain": (DiscreteCQL(**SETTINGS), 1, False),
    "masked": (DiscreteCQL(**SETTINGS, alpha=0.7), 1, True),
    "windows of three steps": (DiscreteCQL(**SETTINGS, experience=Dataset(n=3)), 3, False),
    "slow target, falling rate": (
        DiscreteCQL(**SETTINGS | {"target_every": 1, "learning_rate": Linear(0.1, 0.0, 60.0)}, target_rate=0.3),
        1,
        False,
    ),
}


def targets(cql, params, target_params, rows, _):
    """y = r + gamma Q'(s', a*), a* the best legal choice by Q."""
    by_target, by_network = (outputs(p, rows.next_obs)[:, :, 0] for p in (target_params, params))
    y = rows.reward.copy()
    for i in range(len(y)):
        action = best_legal(by_network[i], rows.next_legal[i])
        if action is not None:
            y[i] += rows.discount[i] * by_target[i, action]
    return y


def terms(cql, params, rows, y, _):
    """alpha (log sum_a exp Q(s, a) - Q(s, a_taken)) + (y - Q(s, a_taken))^2 / 2, the sum over what is legal."""
    q = outputs(params, rows.obs)[:, :, 0]
    value = np.array([q[i, a] for i, a in enumerate(rows.action)])
    gap = np.zeros(len(y))
    for i in range(len(y)):
        if rows.legal[i].any():
            gap[i] = np.log(sum(np.exp(q[i, a]) for a in range(q.shape[1]) if rows.legal[i, a])) - value[i]
    return {"loss": cql.alpha * gap + (y - value) ** 2 / 2, "td_error": abs(y - value), "value": value, "gap": gap}


@pytest.mark.parametrize("name", CASES)
def test_updates_are_those_of_the_equation(name):
    cql, n, masked = CASES[name]
    assert_updates(cql, n, targets, terms, masked=masked)


def test_without_the_gap_they_are_others():
    """The control."""
    with pytest.raises(AssertionError):
        assert_updates(DiscreteCQL(**SETTINGS), 1, targets, lambda cql, *rest: terms(cql.replace(alpha=0.0), *rest))
