"""DroQ's update is that of Hiraoka et al., 2022, algorithm 2, in NumPy with central differences."""

import jax
import numpy as np

from bellmax.algorithms.control.droq import DroQ
from bellmax.core import Spec
from bellmax.experience import Replay
from bellmax.maths.chance import uniform
from bellmax.spaces import Box
from tests.paper.by_hand import assert_same, by_name, quickly
from tests.paper.control_by_hand import (
    ACTION,
    Adam,
    adam_of,
    begun,
    dense,
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
G, BOTH = 2, ("[0]", "[1]")
DROQ_SMALL = DroQ(hidden=(4, 3), gamma=0.9, tau=0.1, learning_rate=0.02, critic_learning_rate=0.05, dropout=0.3)


def dropped(key):
    """Which units are left out: for both critics and every row those of both layers, [2, 12, 4 + 3]."""
    return np.asarray(jax.vmap(jax.vmap(lambda k: uniform(k, (7,))))(jax.random.split(key, (2, 12)))) < 0.3


def both(params, obs, action, out):
    """Dense, dropout, layer norm, relu, twice, and a dense layer; of each critic [2, batch]."""
    found = []
    for name, gone in zip(BOTH, out):
        x = np.concatenate([obs, action], -1)
        for k, gone_here in enumerate((gone[:, :4], gone[:, 4:])):
            x = np.where(gone_here, 0, dense(params, f"{name}.mlp.layers[{k}]", x) / 0.7)
            centred = x - x.mean(1, keepdims=True)
            x = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-6)
            x = np.maximum(params[f"{name}.norms[{k}].scale"] * x + params[f"{name}.norms[{k}].offset"], 0)
        found.append(dense(params, f"{name}.head", x)[:, 0])
    return np.array(found)


def slow_update(droq, now, batch, key, count):
    """`now` [name: parameters or Adam] moves on, in update number `count` -> metrics."""
    target_key, critic_key, actor_key = jax.random.split(key, 3)
    (next_noise, next_out), (noise, out) = (
        (np.asarray(jax.random.normal(policy_key, (12, 2)), np.float64), dropped(dropout_key))
        for policy_key, dropout_key in (jax.random.split(k) for k in (target_key, actor_key))
    )
    reward, factor, next_obs = folded(batch, droq.gamma)
    obs, action, weight, alpha = batch.obs[0], unit(batch.action[0]), batch.weight[0], np.exp(now["alpha"][""])

    next_action, log_prob = stochastic(now["actor"], next_obs, next_noise)
    next_q = both(now["targets"], next_obs, next_action, next_out).min(0)
    y = reward + factor * (next_q - alpha * log_prob)
    errors = both(now["critics"], obs, action, dropped(critic_key)) - y
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
        return mean(((both(params, obs, action, critic_out) - y) ** 2 / 2).sum(0), weight)

    def actor_loss(params):
        drawn, log_prob = stochastic(params, obs, noise)
        return mean(alpha * log_prob - both(now["critics"], obs, drawn, out).mean(0), weight)

    critic_out, rate = dropped(critic_key), droq.critic_learning_rate
    now["critics"] = now["critics adam"].step(now["critics"], slopes(critic_loss, now["critics"]), rate)
    now["targets"] = followed(now["targets"], now["critics"], droq.tau)
    if count % G == 0:
        entropy = -mean(stochastic(now["actor"], obs, noise)[1], weight)
        metrics |= {"actor_loss": G * actor_loss(now["actor"]), "entropy": G * entropy}
        now["actor"] = now["actor adam"].step(now["actor"], slopes(actor_loss, now["actor"]), droq.learning_rate)
        now["alpha"] = now["alpha adam"].step(now["alpha"], one(entropy + 2), droq.learning_rate)
    return metrics


def test_updates_are_those_of_the_pseudo_code():
    n = 3
    droq = DROQ_SMALL.replace(experience=Replay(n=n, updates=G))
    state = begun(droq, SPEC, 1)
    parts = {"actor": "actor", "critics": "critics", "targets": "targets", "alpha": "log_alpha"}
    now = {name: by_name(getattr(state, field)) for name, field in parts.items()}
    adams = "actor adam", "critics adam", "alpha adam"
    now |= {name: Adam(opt_state) for name, opt_state in zip(adams, state.opt_states)}
    update = quickly(droq.update)
    for seed in (1, 2):
        batch, key = replayed(seed, ACTION, n), jax.random.key(seed)
        state, metrics = update(state, batch, key)
        expected = slow_update(droq, now, batch, key, seed)
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected, 5e-4, 5e-5)
        for name, field in parts.items():
            assert_same(by_name(getattr(state, field)), now[name], 5e-4, 5e-5)
        for name, opt_state in zip(adams, state.opt_states):
            assert_same(adam_of(opt_state), now[name].state(), 5e-4, 5e-5)
        assert (float(state.steps), int(state.updates)) == (60, seed)


def test_units_are_left_out_with_their_probability():
    out = np.array([dropped(jax.random.key(i)) for i in range(100)])
    assert abs(out.mean() - 0.3) < 4 * np.sqrt(0.21 / out.size)
    assert np.abs(out.mean((0, 1, 2)) - 0.3).max() < 4 * np.sqrt(0.21 * 7 / out.size)
