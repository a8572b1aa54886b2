"""REINFORCE's update is the loop of Sutton & Barto, section 13.3 and 13.4, over whole episodes, in NumPy."""

import jax
import numpy as np
import pytest

from bellmax import REINFORCE, Box, Discrete, Episodes, Linear, Spec
from tests.paper.by_hand import (
    Adam,
    assert_same,
    backward,
    begun,
    by_name,
    forward,
    length_of,
    quickly,
    random_batch,
    scheduled,
    squared,
    standardised,
    zeros,
)

SETTINGS = {"experience": Episodes(7), "hidden": (5, 4), "gamma": 0.9, "learning_rate": 0.02}
CASES = {
    "without baseline": (REINFORCE(**SETTINGS, baseline=False), Discrete(3)),
    "with baseline": (REINFORCE(**SETTINGS, max_grad_norm=0.4, entropy_weight=0.1), Discrete(3)),
    "continuous, standardised, clocks running": (
        REINFORCE(
            **SETTINGS | {"learning_rate": Linear(0.02, 0.004, 200.0), "entropy_weight": Linear(0.2, 0.0, 300.0)}
        ).replace(standardise_return=True, value_weight=2.0),
        Box((2,)),
    ),
}


def whole_episodes(seed, action):
    """One episode an environment: behind its end rows of weight 0, full of what must not count."""
    batch = random_batch(seed, action)
    over = np.cumsum(batch.last, axis=0) - batch.last > 0
    last = batch.last.copy()
    last[-1] |= ~over[-1]  # the driver cuts what is still running
    assert over.any()
    assert (batch.discount[last & ~over] == 1).any(), "some are cut short"
    assert (batch.discount[last & ~over] == 0).any(), "some terminate"
    return batch._replace(last=last, weight=1.0 - over)


def slow_return(reward, discount, last, t):
    """G = R + gamma R' + gamma^2 R'' + ..., to the end of the episode."""
    total, factor = 0.0, 1.0
    for k in range(t, len(reward)):
        total += factor * reward[k]
        factor *= discount[k]
        if last[k]:
            return total
    return total


def slow_update(reinforce, params, adam, batch, steps):
    """Whole episodes -> new parameters, metrics. `adam` moves on."""
    grads, terms, rows = zeros(params), [], [i for i in np.ndindex(*batch.reward.shape) if batch.weight[i]]
    passes = [forward(params, batch.obs[i], batch.action[i]) for i in rows]
    discount = reinforce.gamma * batch.discount
    target = [slow_return(batch.reward[:, n], discount[:, n], batch.last[:, n], t) for t, n in rows]
    value = [now.value if reinforce.baseline else 0.0 for now in passes]
    advantage = np.array(target) - value
    if reinforce.standardise_return:
        advantage = standardised(advantage, np.ones(len(rows)))
    for now, g, v, a in zip(passes, target, value, advantage):
        error, by_value = squared(v, g)
        by_value = reinforce.value_weight * by_value if reinforce.baseline else 0.0
        slopes = -a, -scheduled(reinforce.entropy_weight, steps), by_value
        backward(params, grads, now, *(slope / len(rows) for slope in slopes))
        terms.append((now.choice.log_prob * a, error, now.choice.entropy))
    metrics = dict(zip(("policy_gradient", "value_error", "entropy"), np.mean(terms, axis=0)))
    metrics["grad_norm"] = length_of(grads)
    return adam.step(params, grads, scheduled(reinforce.learning_rate, steps), reinforce.max_grad_norm), metrics


@pytest.mark.parametrize("name", CASES)
def test_two_updates_are_those_of_the_pseudo_code(name):
    reinforce, action = CASES[name]
    state = begun(reinforce, Spec(Box((3,)), action, 4), seed=1)._replace(steps=np.float32(50))
    update, params, steps = quickly(reinforce.update), by_name(state.network), 50.0
    adam = Adam(params)
    for seed in (2, 3):
        batch = whole_episodes(seed, action)
        state, metrics = update(state, batch, jax.random.key(0))
        params, expected = slow_update(reinforce, params, adam, batch, steps)
        steps += batch.weight.sum()
        assert float(state.steps) == steps
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected)
        assert_same(by_name(state.network), params)
        assert_same(by_name(state.opt_state[1].mu), adam.m, absolute=1e-6)
        assert_same(by_name(state.opt_state[1].nu), adam.v, absolute=1e-8)
        assert expected["grad_norm"] > 0.4, "where the gradient's length is limited to 0.4, the limit is at work"
