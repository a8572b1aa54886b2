"""A2C's update is the inner loop of Mnih et al., 2016, algorithm S3, over environments instead of threads, in NumPy."""

import jax
import numpy as np
import pytest

from bellmax import A2C, Box, Discrete, Linear, Spec, Steps
from tests.paper.by_hand import (
    RMSprop,
    assert_same,
    backward,
    begun,
    by_name,
    explained,
    forward,
    length_of,
    quickly,
    random_batch,
    scheduled,
    slow_gae,
    squared,
    value_of,
    zeros,
)

SETTINGS = {"experience": Steps(7), "hidden": (5, 4), "gamma": 0.9, "entropy_weight": 0.1, "max_grad_norm": 0.4}
CASES = {
    "discrete": (A2C(**SETTINGS, learning_rate=0.02), Discrete(3)),
    "continuous": (A2C(**SETTINGS, learning_rate=0.02), Box((2,))),
    "lambda 0.8, shared torso, clocks running": (
        A2C(
            **SETTINGS | {"entropy_weight": Linear(0.2, 0.0, 200.0), "max_grad_norm": 1e9, "value_weight": 2.0}
        ).replace(gae_lambda=0.8, shared=True, learning_rate=Linear(0.02, 0.004, 200.0)),
        Discrete(3),
    ),
}


def slow_return(params, a2c, batch, t, n):
    """R = r + gamma r' + ... + gamma^k V(s_k): to the episode's or the steps' end; nothing is behind a termination."""
    total, factor = 0.0, 1.0
    for k in range(t, len(batch.reward)):
        total += factor * batch.reward[k, n]
        factor *= a2c.gamma * batch.discount[k, n]
        if batch.last[k, n] or k == len(batch.reward) - 1:
            return total + factor * value_of(params, batch.next_obs[k, n])


def slow_advantage(params, a2c, batch, n):
    """R - V at every step of one environment, or where lambda < 1 the mixture of shorter returns."""
    value, next_value = (np.array([value_of(params, x) for x in obs[:, n]]) for obs in (batch.obs, batch.next_obs))
    if a2c.gae_lambda == 1:
        return np.array([slow_return(params, a2c, batch, t, n) for t in range(len(value))]) - value, value
    one = batch.reward[:, n], a2c.gamma * batch.discount[:, n], value, next_value, batch.last[:, n]
    return slow_gae(*one, a2c.gae_lambda), value


def slow_update(a2c, params, optimizer, batch, steps):
    """Collected steps -> new parameters, metrics. `optimizer` moves on."""
    grads, terms, entropy_weight = zeros(params), [], scheduled(a2c.entropy_weight, steps)
    columns = [slow_advantage(params, a2c, batch, n) for n in range(batch.reward.shape[1])]
    advantage, value = (np.stack(x, axis=1) for x in zip(*columns))
    target = advantage + value
    for t, n in np.ndindex(*batch.reward.shape):
        if batch.weight[t, n]:
            now = forward(params, batch.obs[t, n], batch.action[t, n])
            error, by_value = squared(now.value, target[t, n])
            slopes = -advantage[t, n], -entropy_weight, a2c.value_weight * by_value
            backward(params, grads, now, *(slope / batch.weight.sum() for slope in slopes))
            terms.append((now.choice.log_prob * advantage[t, n], error, now.choice.entropy))
    metrics = dict(zip(("policy_gradient", "value_error", "entropy"), np.mean(terms, axis=0)))
    metrics["grad_norm"] = length_of(grads)
    metrics["explained_variance"] = explained(value.ravel(), target.ravel(), batch.weight.ravel())
    return optimizer.step(params, grads, scheduled(a2c.learning_rate, steps), a2c.max_grad_norm), metrics


@pytest.mark.parametrize("name", CASES)
def test_three_updates_are_those_of_the_pseudo_code(name):
    a2c, action = CASES[name]
    state = begun(a2c, Spec(Box((3,)), action, 4), seed=1)._replace(steps=np.float32(50))
    update, params, steps = quickly(a2c.update), by_name(state.network), 50.0
    optimizer = RMSprop(params)
    for seed in (2, 3, 4):
        batch = random_batch(seed, action)
        state, metrics = update(state, batch, jax.random.key(0))
        params, expected = slow_update(a2c, params, optimizer, batch, steps)
        steps += batch.weight.sum()
        assert float(state.steps) == steps
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected)
        assert_same(by_name(state.network), params)
        assert_same(by_name(state.opt_state[1].nu), optimizer.v, absolute=1e-8)
        assert expected["grad_norm"] > 0.4, "the limit on the gradient's length is at work, where it is 0.4"
