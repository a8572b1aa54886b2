"""REDQ's update is that of Chen et al., 2021, algorithm 1, in NumPy with central differences."""

import jax
import numpy as np
import pytest

from bellmax.algorithms.control.redq import REDQ
from bellmax.core import Spec
from bellmax.experience import Replay
from bellmax.spaces import Box
from tests.paper.by_hand import assert_same, by_name, quickly
from tests.paper.control_by_hand import (
    ACTION,
    Adam,
    adam_of,
    begun,
    critic,
    folded,
    followed,
    mean,
    one,
    replayed,
    slopes,
    stochastic,
    unit,
)

SPEC = Spec(Box((3,)), ACTION)
N, G = 3, 2
REDQ_SMALL = REDQ(hidden=(3,), critics=N, gamma=0.9, tau=0.1, learning_rate=0.02, critic_learning_rate=0.05)


def all_of(critics, obs, action):
    """What each of the N critics says, a list; their parameters are stacked."""
    return [critic({name: x[i] for name, x in critics.items()}, "", obs, action) for i in range(N)]


def slow_update(redq, now, batch, key, count):
    """`now` [name: parameters or Adam] moves on, in update number `count` -> metrics, who was asked."""
    target_key, actor_key = jax.random.split(key)
    policy_key, subset_key = jax.random.split(target_key)
    target_noise, noise = (np.asarray(jax.random.normal(k, (12, 2)), np.float64) for k in (policy_key, actor_key))
    asked = np.asarray(jax.random.permutation(subset_key, N))[:2]
    reward, factor, next_obs = folded(batch, redq.gamma)
    obs, action, weight, alpha = batch.obs[0], unit(batch.action[0]), batch.weight[0], np.exp(now["alpha"][""])

    next_action, log_prob = stochastic(now["actor"], next_obs, target_noise)
    next_q = np.min([all_of(now["targets"], next_obs, next_action)[i] for i in asked], axis=0)
    y = reward + factor * (next_q - alpha * log_prob)
    errors = np.array(all_of(now["critics"], obs, action)) - y
    metrics = {
        "critic_loss": mean((errors**2 / 2).sum(0), weight),
        "value": mean(errors.mean(0) + y, weight),
        "td_error": mean(abs(errors).mean(0), weight),
        "priority": abs(errors).mean(0),
        "alpha": alpha,
        "actor_loss": 0.0,
        "entropy": 0.0,
    }

    def critic_loss(params):
        return mean(sum((q - y) ** 2 / 2 for q in all_of(params, obs, action)), weight)

    def actor_loss(params):
        drawn, log_prob = stochastic(params, obs, noise)
        return mean(alpha * log_prob - sum(all_of(now["critics"], obs, drawn)) / N, weight)

    rate = redq.critic_learning_rate
    now["critics"] = now["critics adam"].step(now["critics"], slopes(critic_loss, now["critics"]), rate)
    now["targets"] = followed(now["targets"], now["critics"], redq.tau)
    if count % G == 0:
        entropy = -mean(stochastic(now["actor"], obs, noise)[1], weight)
        metrics |= {"actor_loss": G * actor_loss(now["actor"]), "entropy": G * entropy}
        now["actor"] = now["actor adam"].step(now["actor"], slopes(actor_loss, now["actor"]), redq.learning_rate)
        now["alpha"] = now["alpha adam"].step(now["alpha"], one(entropy + 2), redq.learning_rate)
    return metrics, set(asked.tolist())


def test_updates_are_those_of_the_pseudo_code():
    n = 3
    redq = REDQ_SMALL.replace(experience=Replay(n=n, updates=G))
    state = begun(redq, SPEC, 1)
    parts = {"actor": "actor", "critics": "critics", "targets": "targets", "alpha": "log_alpha"}
    now = {name: by_name(getattr(state, field)) for name, field in parts.items()}
    adams = "actor adam", "critics adam", "alpha adam"
    now |= {name: Adam(opt_state) for name, opt_state in zip(adams, state.opt_states)}
    update, subsets = quickly(redq.update), []
    for seed in (1, 2, 3, 4):
        batch, key = replayed(seed, ACTION, n), jax.random.key(seed)
        state, metrics = update(state, batch, key)
        expected, asked = slow_update(redq, now, batch, key, seed)
        subsets.append(asked)
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected)
        for name, field in parts.items():
            assert_same(by_name(getattr(state, field)), now[name])
        for name, opt_state in zip(adams, state.opt_states):
            assert_same(adam_of(opt_state), now[name].state())
        assert (float(state.steps), int(state.updates)) == (60, seed)
    assert len({frozenset(asked) for asked in subsets}) > 1, "not the same two every time"


def test_critics_begin_different_and_no_more_are_asked_than_there_are():
    state = jax.jit(REDQ_SMALL.init, static_argnums=1)(jax.random.key(0), SPEC)
    weight = np.asarray(state.critics.mlp.layers[0].weight)
    assert weight.shape == (N, 5, 3)
    assert np.abs(weight[0] - weight[1]).max() > 0.1
    with pytest.raises(ValueError, match=r"REDQ.asked = 4: there are 3 critics"):
        REDQ_SMALL.replace(asked=4).init(jax.random.key(0), SPEC)
