"""SAC's update is that of Haarnoja et al., 2018 (arXiv 1812.05905, algorithm 1), in NumPy with central differences."""

import jax
import numpy as np
import pytest

from bellmax.algorithms.control.sac import SAC
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
SAC_SMALL = SAC(hidden=(4, 3), gamma=0.9, tau=0.1, learning_rate=0.02, critic_learning_rate=0.05, entropy_scale=0.7)
CASES = {"one step": (1, SAC_SMALL), "three steps": (3, SAC_SMALL)}
CASES["temperature kept"] = 1, SAC_SMALL.replace(learns_alpha=False)


def slow_update(sac, now, batch, key):
    """`now` [name: parameters or Adam] moves on -> metrics."""
    critic_noise, actor_noise = (np.asarray(jax.random.normal(k, (12, 2)), np.float64) for k in jax.random.split(key))
    reward, factor, next_obs = folded(batch, sac.gamma)
    obs, action, weight, alpha = batch.obs[0], unit(batch.action[0]), batch.weight[0], np.exp(now["alpha"][""])

    next_action, log_prob = stochastic(now["actor"], next_obs, critic_noise)
    next_q = np.min([critic(now["targets"], name, next_obs, next_action) for name in ("[0]", "[1]")], axis=0)
    y = reward + factor * (next_q - alpha * log_prob)
    errors = [critic(now["critics"], name, obs, action) - y for name in ("[0]", "[1]")]
    metrics = {
        "critic_loss": mean(sum(e**2 / 2 for e in errors), weight),
        "value": mean(errors[0] + y, weight),
        "td_error": mean(sum(abs(e) for e in errors) / 2, weight),
        "priority": sum(abs(e) for e in errors) / 2,
        "alpha": alpha,
    }

    def critic_loss(params):
        return mean(sum((critic(params, name, obs, action) - y) ** 2 / 2 for name in ("[0]", "[1]")), weight)

    def actor_loss(params):
        drawn, log_prob = stochastic(params, obs, actor_noise)
        q = np.min([critic(critics, name, obs, drawn) for name in ("[0]", "[1]")], axis=0)
        return mean(alpha * log_prob - q, weight)

    critics = now["critic adam"].step(now["critics"], slopes(critic_loss, now["critics"]), sac.critic_learning_rate)
    entropy = -mean(stochastic(now["actor"], obs, actor_noise)[1], weight)
    metrics |= {"actor_loss": actor_loss(now["actor"]), "entropy": entropy}
    actor = now["actor adam"].step(now["actor"], slopes(actor_loss, now["actor"]), sac.learning_rate)
    # d/d log alpha of -log alpha (log pi + target entropy): the temperature falls where there is too much entropy
    rate = sac.learning_rate if sac.learns_alpha else 0.0
    log_alpha = now["alpha adam"].step(now["alpha"], one(entropy + sac.entropy_scale * 2), rate)
    targets = followed(now["targets"], critics, sac.tau)
    now.update({"actor": actor, "critics": critics, "targets": targets, "alpha": log_alpha})
    return metrics


def taken_apart(state):
    actor_adam, critic_adam, alpha_adam = state.opt_states
    adams = {"actor adam": Adam(actor_adam), "critic adam": Adam(critic_adam), "alpha adam": Adam(alpha_adam)}
    parts = {"actor": state.actor, "critics": state.critics, "targets": state.targets, "alpha": state.log_alpha}
    return {name: by_name(part) for name, part in parts.items()} | adams


@pytest.mark.parametrize("name", CASES)
def test_two_updates_are_those_of_the_pseudo_code(name):
    n, sac = CASES[name]
    sac = sac.replace(experience=Replay(n=n))
    state = begun(sac, SPEC, 1)
    update, now = quickly(sac.update), taken_apart(state)
    for seed in (2, 3):
        batch, key = replayed(seed, ACTION, n), jax.random.key(seed)
        state, metrics = update(state, batch, key)
        expected = slow_update(sac, now, batch, key)
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected)
        for part in ("actor", "critics", "targets"):
            assert_same(by_name(getattr(state, part)), now[part])
        assert_same(by_name(state.log_alpha), now["alpha"])
        for opt_state, adam in zip(state.opt_states, ("actor adam", "critic adam", "alpha adam")):
            assert_same(adam_of(opt_state), now[adam].state())
        assert float(state.steps) == 60


def test_actions_are_drawn_evenly_before_the_first_update_and_from_the_policy_after_it():
    state, keys = begun(SAC_SMALL, SPEC, 1), jax.random.split(jax.random.key(0), 500)
    act = jax.jit(jax.vmap(SAC_SMALL.act, (None, None, 0)))
    even = np.asarray(act(state._replace(steps=np.float32(0)), np.zeros(3, np.float32), keys).action)
    assert (np.abs(np.sort(unit(even), 0)[[125, 250, 375]] - [[-0.5], [0.0], [0.5]]) < 0.2).all()  # 4 standard errors
    drawn = unit(np.asarray(act(state, np.zeros(3, np.float32), keys).action))
    mode = unit(np.asarray(SAC_SMALL.greedy(state, np.zeros(3, np.float32), keys[0]).action))
    noise = np.zeros(2)
    np.testing.assert_allclose(mode, stochastic(by_name(state.actor), np.zeros((1, 3)), noise)[0][0], atol=1e-5)
    assert (np.abs((drawn < mode).mean(0) - 0.5) < 0.09).all()  # its median is its mode, tanh of the normal's
