"""PPO's update is its pseudo-code (Schulman et al., 2017, algorithm 1 and eq. 9), played by loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import PPO, Box, Discrete, Linear, Spec, Steps
from bellmax.maths.batches import shuffled_minibatches
from tests.paper.by_hand import (
    Adam,
    assert_same,
    backward,
    begun,
    by_name,
    explained,
    forward,
    length_of,
    proximal,
    quickly,
    random_batch,
    scheduled,
    slow_gae,
    squared,
    standardised,
    value_of,
    zeros,
)

SETTINGS = {"experience": Steps(7), "hidden": (5, 4), "epochs": 2, "minibatches": 2, "gamma": 0.9, "gae_lambda": 0.8}
SETTINGS |= {"entropy_weight": 0.1, "learning_rate": 0.02, "max_grad_norm": 0.4}
CASES = {
    "discrete": (PPO(**SETTINGS), Discrete(3)),
    "continuous": (PPO(**SETTINGS), Box((2,))),
    "shared torso, clipped value, raw advantage, all clocks running": (
        PPO(**SETTINGS | {"shared": True, "clip_value": True, "standardise_advantage": False}).replace(
            learning_rate=Linear(0.1, 0.02, 200.0),
            clip=Linear(0.2, 0.02, 150.0),
            entropy_weight=Linear(0.2, 0.0, 300.0),
        ),
        Discrete(3),
    ),
    "one minibatch, gradient not shortened": (
        PPO(**SETTINGS | {"minibatches": 1, "max_grad_norm": 1e9, "gae_lambda": 1.0, "value_weight": 2.0}),
        Discrete(2),
    ),
}


def slow_update(ppo, params, adam, batch, key, steps):
    """Collected steps -> new parameters, metrics. `adam` moves on."""
    length, num_envs = batch.reward.shape
    value, next_value = np.zeros((2, length, num_envs))
    for t in range(length):
        for n in range(num_envs):
            value[t, n], next_value[t, n] = (value_of(params, obs[t, n]) for obs in (batch.obs, batch.next_obs))
    advantage = np.zeros((length, num_envs))
    for n in range(num_envs):
        one = batch.reward[:, n], ppo.gamma * batch.discount[:, n], value[:, n], next_value[:, n], batch.last[:, n]
        advantage[:, n] = slow_gae(*one, ppo.gae_lambda)
    target, log = advantage + value, []
    samples = [
        (batch.obs[t, n], batch.action[t, n], batch.extras["log_prob"][t, n], value[t, n], target[t, n])
        for t in range(length)
        for n in range(num_envs)
    ]
    advantage, weight = advantage.reshape(-1), batch.weight.reshape(-1)
    for epoch_key in jax.random.split(key, ppo.epochs):
        for rows in np.asarray(shuffled_minibatches(epoch_key, jnp.arange(len(samples)), ppo.minibatches)):
            piece = [samples[row] for row in rows]
            params, metrics = slow_ascend(ppo, params, adam, piece, advantage[rows], weight[rows], steps)
            log.append(metrics)
    metrics = {name: np.reshape([row[name] for row in log], (ppo.epochs, ppo.minibatches)) for name in log[0]}
    return params, metrics | {"explained_variance": explained(value.reshape(-1), target.reshape(-1), weight)}


def slow_ascend(ppo, params, adam, piece, advantage, weight, steps):
    """One step up E[ min(r A, clip(r) A) - c1 (V - G)^2 / 2 + c2 H ] over the rows that count."""
    clip, entropy_weight = scheduled(ppo.clip, steps), scheduled(ppo.entropy_weight, steps)
    if ppo.standardise_advantage:
        advantage = standardised(advantage, weight)
    grads, terms, held = zeros(params), [], 0
    for (obs, action, old_log_prob, old_value, target), one_advantage, w in zip(piece, advantage, weight):
        if w == 0:
            continue
        now = forward(params, obs, action)
        surrogate, by_log_prob, kl, clipped = proximal(now.choice.log_prob, old_log_prob, one_advantage, clip)
        error, by_value = squared(now.value, target)
        kept = old_value + np.clip(now.value - old_value, -clip, clip)
        if ppo.clip_value and squared(kept, target)[0] > error:
            error, by_value, held = squared(kept, target)[0], 0.0, held + 1  # a value that is held moves nothing
        share = 1 / np.sum(weight)
        slopes = -by_log_prob, -entropy_weight, ppo.value_weight * by_value
        backward(params, grads, now, *(share * slope for slope in slopes))
        terms.append((surrogate, error, now.choice.entropy, kl, clipped))
    metrics = dict(zip(("surrogate", "value_error", "entropy", "kl", "clip_fraction"), np.mean(terms, axis=0)))
    metrics |= {"grad_norm": length_of(grads), "values_held": held}
    return adam.step(params, grads, scheduled(ppo.learning_rate, steps), ppo.max_grad_norm), metrics


def acted(params, batch, seed):
    """The batch with the log-probabilities of a policy a little different: ratios leave 1 +- clip both ways."""
    noise = np.random.default_rng(seed).normal(size=batch.reward.shape)
    log_prob = np.zeros(batch.reward.shape)
    for t, n in np.ndindex(*batch.reward.shape):
        log_prob[t, n] = forward(params, batch.obs[t, n], batch.action[t, n]).choice.log_prob
    return batch._replace(extras={"log_prob": np.float64(np.float32(log_prob + 0.3 * noise))})


@pytest.mark.parametrize("name", CASES)
def test_two_updates_are_those_of_the_pseudo_code(name):
    ppo, action = CASES[name]
    state = begun(ppo, Spec(Box((3,)), action, 4), seed=1)._replace(steps=np.float32(50))
    update, params, steps = quickly(ppo.update), by_name(state.network), 50.0
    adam = Adam(params)
    for seed in (2, 3):
        batch, key = acted(params, random_batch(seed, action), seed), jax.random.key(seed)
        state, metrics = update(state, batch, key)
        params, expected = slow_update(ppo, params, adam, batch, key, steps)
        steps += batch.weight.sum()
        assert expected.pop("values_held").any() == ppo.clip_value
        assert float(state.steps) == steps
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected)
        assert_same(by_name(state.network), params)
        assert_same(by_name(state.opt_state[1].mu), adam.m, absolute=1e-6)
        assert_same(by_name(state.opt_state[1].nu), adam.v, absolute=1e-8)
        assert 0.1 < expected["clip_fraction"][0, 0] < 0.9, "the clip is at work on some of the steps"
        assert (expected["grad_norm"] > 0.4).any(), "and so is the limit on the gradient's length, where it is 0.4"
