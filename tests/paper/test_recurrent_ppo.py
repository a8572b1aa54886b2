"""Recurrent PPO's update is PPO's pseudo-code over sequences read again with the new weights, by loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Box, Discrete, Linear, RecurrentPPO, Spec, Steps
from bellmax.maths.batches import shuffled_minibatches
from tests.paper.by_hand import (
    Adam,
    assert_same,
    begun,
    by_name,
    explained,
    length_of,
    proximal,
    quickly,
    random_batch,
    scheduled,
    slow_gae,
    squared,
    standardised,
    zeros,
)
from tests.paper.gru_by_hand import look, read, read_backward

MEMORY, ENVS = 4, 4
SETTINGS = {"experience": Steps(7), "hidden": (5,), "memory_size": MEMORY, "epochs": 2, "gamma": 0.9, "gae_lambda": 0.8}
SETTINGS |= {"minibatches": 2, "entropy_weight": 0.1, "learning_rate": 0.02, "max_grad_norm": 0.4}
CASES = {
    "discrete": (RecurrentPPO(**SETTINGS), Discrete(3)),
    "continuous, clocks running": (
        RecurrentPPO(**SETTINGS).replace(learning_rate=Linear(0.02, 0.004, 200.0), clip=Linear(0.3, 0.1, 150.0)),
        Box((2,)),
    ),
}


def begins_of(last):
    """An episode begins where the row before ended one; the first row goes on from the memory that was stored."""
    return np.concatenate([np.zeros_like(last[:1]), last[:-1]])


def slow_update(ppo, params, adam, batch, key, steps):
    """Collected steps -> new parameters, metrics. `adam` moves on."""
    length, num_envs = batch.reward.shape
    begins, value, next_value = begins_of(batch.last), *np.zeros((2, length, num_envs))
    advantage = np.zeros((length, num_envs))
    for n in range(num_envs):
        now = read(params, batch.extras["memory"][0, n], batch.obs[:, n], batch.action[:, n], begins[:, n])
        value[:, n] = [step.value for step in now]
        for t in range(length):  # the true successor, seen with the memory of that moment
            next_value[t, n] = look(params, now[t].memory, batch.next_obs[t, n], batch.action[t, n]).value
        one = batch.reward[:, n], ppo.gamma * batch.discount[:, n], value[:, n], next_value[:, n], batch.last[:, n]
        advantage[:, n] = slow_gae(*one, ppo.gae_lambda)
    target, log = advantage + value, []
    for epoch_key in jax.random.split(key, ppo.epochs):
        for envs in np.asarray(shuffled_minibatches(epoch_key, jnp.arange(num_envs), ppo.minibatches)):
            params, metrics = slow_ascend(ppo, params, adam, batch, begins, advantage, target, envs, steps)
            log.append(metrics)
    metrics = {name: np.reshape([row[name] for row in log], (ppo.epochs, ppo.minibatches)) for name in log[0]}
    return params, metrics | {"explained_variance": explained(*(x.ravel() for x in (value, target, batch.weight)))}


def slow_ascend(ppo, params, adam, batch, begins, advantage, target, envs, steps):
    """One step up E[ min(r A, clip(r) A) - c1 (V - G)^2 / 2 + c2 H ] over whole sequences of some environments."""
    clip, entropy_weight = scheduled(ppo.clip, steps), scheduled(ppo.entropy_weight, steps)
    weight, grads, terms = batch.weight[:, envs], zeros(params), []
    scaled = standardised(advantage[:, envs].ravel(), weight.ravel()).reshape(weight.shape)
    for i, n in enumerate(envs):
        now = read(params, batch.extras["memory"][0, n], batch.obs[:, n], batch.action[:, n], begins[:, n])
        slopes = []
        for t, step in enumerate(now):
            old_log_prob, share = batch.extras["log_prob"][t, n], weight[t, i] / weight.sum()
            surrogate, by_log_prob, kl, clipped = proximal(step.choice.log_prob, old_log_prob, scaled[t, i], clip)
            error, by_value = squared(step.value, target[t, n])
            slopes.append((-share * by_log_prob, -share * entropy_weight, share * ppo.value_weight * by_value))
            if weight[t, i]:
                terms.append((surrogate, error, step.choice.entropy, kl, clipped))
        read_backward(params, grads, now, slopes)
    metrics = dict(zip(("surrogate", "value_error", "entropy", "kl", "clip_fraction"), np.mean(terms, axis=0)))
    metrics["grad_norm"] = length_of(grads)
    return adam.step(params, grads, scheduled(ppo.learning_rate, steps), ppo.max_grad_norm), metrics


def acted(params, batch, seed):
    """The batch as a policy that was a little different left it, with the memories it had."""
    draw, log_prob = np.random.default_rng(seed), np.zeros(batch.reward.shape)
    memory = np.float64(np.float32(np.tanh(draw.normal(size=(*batch.reward.shape, MEMORY)))))
    for n in range(batch.reward.shape[1]):
        now = read(params, memory[0, n], batch.obs[:, n], batch.action[:, n], begins_of(batch.last)[:, n])
        log_prob[:, n] = [step.choice.log_prob for step in now]
    log_prob = np.float64(np.float32(log_prob + 0.3 * draw.normal(size=log_prob.shape)))
    return batch._replace(extras={"log_prob": log_prob, "memory": memory})


@pytest.mark.parametrize("name", CASES)
def test_two_updates_are_those_of_the_pseudo_code(name):
    ppo, action = CASES[name]
    state = begun(ppo, Spec(Box((3,)), action, ENVS), seed=1)._replace(steps=np.float32(50))
    update, params, steps = quickly(ppo.update), by_name(state.network), 50.0
    adam = Adam(params)
    for seed in (2, 3):
        batch, key = acted(params, random_batch(seed, action), seed), jax.random.key(seed)
        state, metrics = update(state, batch, key)
        params, expected = slow_update(ppo, params, adam, batch, key, steps)
        steps += batch.weight.sum()
        assert float(state.steps) == steps
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected)
        assert_same(by_name(state.network), params)
        assert_same(by_name(state.opt_state[1].mu), adam.m, absolute=1e-6)
        assert_same(by_name(state.opt_state[1].nu), adam.v, absolute=1e-8)
        assert begins_of(batch.last).any(), "episodes begin in the middle"
        assert 0.1 < expected["clip_fraction"][0, 0] < 0.9, "the clip is at work on some of the steps"
        assert (expected["grad_norm"] > 0.4).any(), "and so is the limit on the gradient's length"
