"""Discrete SAC's update is that of Christodoulou, 2019, algorithm 1, in NumPy with central differences."""

import jax
import numpy as np
import pytest

from bellmax.algorithms.value.discrete_sac import DiscreteSAC
from bellmax.core import Spec
from bellmax.experience import Replay
from bellmax.spaces import Box, Discrete, Masked, MultiBinary
from tests.paper.by_hand import assert_same, by_name, quickly
from tests.paper.control_by_hand import (
    Adam,
    adam_of,
    begun,
    dense,
    folded,
    followed,
    mean,
    one,
    relus,
    replayed,
    slopes,
)

ACTIONS = 4
SPEC = Spec(Masked(Box((3,)), MultiBinary(ACTIONS)), Discrete(ACTIONS))
SMALL = DiscreteSAC(hidden=(5, 3), gamma=0.9, tau=0.1, learning_rate=0.02, critic_learning_rate=0.05)
BOTH = "[0]", "[1]"


def policy(params, obs, legal):
    """-> pi and log pi [batch, actions]; log pi is 0 where pi is."""
    logits = np.where(legal, dense(params, ".logits", relus(params, ".torso.mlp", obs)), -np.inf)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p, np.log(np.where(p > 0, p, 1))


def values(params, obs):
    """[2, batch, actions]"""
    return np.array([dense(params, f"{i}.advantage", relus(params, f"{i}.torso.mlp", obs)) for i in BOTH])


def slow_update(sac, now, batch, legal, next_legal):
    """`now` [name: parameters or Adam] moves on -> metrics."""
    reward, factor, next_obs = folded(batch, sac.gamma)
    obs, weight, alpha = batch.obs[0], batch.weight[0], np.exp(now["alpha"][""])
    rows, taken = np.arange(12), batch.action[0]
    p, log_p = policy(now["actor"], next_obs, next_legal)
    y = reward + factor * (p * (values(now["targets"], next_obs).min(0) - alpha * log_p)).sum(1)
    errors = values(now["critics"], obs)[:, rows, taken] - y
    metrics = {
        "critic_loss": mean((errors**2 / 2).sum(0), weight),
        "value": mean(errors.mean(0) + y, weight),
        "td_error": mean(abs(errors).mean(0), weight),
        "priority": abs(errors).mean(0),
        "alpha": alpha,
    }

    def critic_loss(params):
        return mean(((values(params, obs)[:, rows, taken] - y) ** 2 / 2).sum(0), weight)

    def actor_loss(params):
        p, log_p = policy(params, obs, legal)
        return mean((p * (alpha * log_p - values(critics, obs).min(0))).sum(1), weight)

    critics = now["critics adam"].step(now["critics"], slopes(critic_loss, now["critics"]), sac.critic_learning_rate)
    p, log_p = policy(now["actor"], obs, legal)
    metrics |= {"actor_loss": actor_loss(now["actor"]), "entropy": mean(-(p * log_p).sum(1), weight)}
    # d/d log alpha of pi . (-log alpha (log pi + target entropy)), and 0.98 log 4 is the target
    slope = one(metrics["entropy"] - 0.98 * np.log(4))
    actor = now["actor adam"].step(now["actor"], slopes(actor_loss, now["actor"]), sac.learning_rate)
    log_alpha = now["alpha adam"].step(now["alpha"], slope, sac.learning_rate)
    targets = followed(now["targets"], critics, sac.tau)
    now.update({"actor": actor, "critics": critics, "targets": targets, "alpha": log_alpha})
    return metrics


@pytest.mark.parametrize(("n", "masked"), [(1, False), (3, True)])
def test_two_updates_are_those_of_the_pseudo_code(n, masked):
    sac = SMALL.replace(experience=Replay(n=n))
    spec = SPEC if masked else Spec(SPEC.obs.obs, SPEC.action)
    state, draw = begun(sac, spec, 1), np.random.default_rng(0)
    parts = {"actor": "actor", "critics": "critics", "targets": "targets", "alpha": "log_alpha"}
    now = {name: by_name(getattr(state, field)) for name, field in parts.items()}
    adams = "actor adam", "critics adam", "alpha adam"
    now |= {name: Adam(opt_state) for name, opt_state in zip(adams, state.opt_states)}
    update = quickly(sac.update)
    for seed in (2, 3):
        batch = seen = replayed(seed, Discrete(ACTIONS), n)
        legal = np.ones((2, n, 12, ACTIONS), bool)
        if masked:
            legal = draw.random((2, n, 12, ACTIONS)) < 0.6
            legal[..., 1] |= ~legal.any(-1)
            seen = batch._replace(obs=Masked(batch.obs, legal[0]), next_obs=Masked(batch.next_obs, legal[1]))
        state, metrics = update(state, seen, jax.random.key(0))
        final = [int(np.argmax(np.append(column, True)[: n - 1])) if column[: n - 1].any() else n - 1
                 for column in batch.last.T]  # fmt: skip
        expected = slow_update(sac, now, batch, legal[0, 0], legal[1, final, np.arange(12)])
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected)
        for name, field in parts.items():
            assert_same(by_name(getattr(state, field)), now[name])
        for name, opt_state in zip(adams, state.opt_states):
            assert_same(adam_of(opt_state), now[name].state())
        assert float(state.steps) == 60


def test_acting_keeps_to_the_mask_before_the_first_update_and_after_it():
    state, obs = begun(SMALL, SPEC, 1), Masked(np.float32([2.0, -1.0, 0.5]), np.array([True, False, True, True]))
    keys = jax.random.split(jax.random.key(0), 3000)
    act = jax.jit(jax.vmap(SMALL.act, (None, None, 0)))
    p = policy(by_name(state.actor), obs.obs[None].astype(float), obs.legal)[0][0]
    assert np.abs(p - [1 / 3, 0, 1 / 3, 1 / 3]).max() > 0.1
    for steps, wanted in ((0, [1 / 3, 0, 1 / 3, 1 / 3]), (50, p)):
        actions = np.asarray(act(state._replace(steps=np.float32(steps)), obs, keys).action)
        share = np.bincount(actions, minlength=4) / 3000
        assert share[1] == 0
        np.testing.assert_allclose(share, wanted, atol=4 * np.sqrt(0.25 / 3000))
    assert int(SMALL.greedy(state, obs, keys[0]).action) == p.argmax()


def test_continuous_actions_are_refused():
    with pytest.raises(ValueError, match="needs a Discrete space"):
        SMALL.init(jax.random.key(0), Spec(Box((3,)), Box((2,), -1.0, 1.0)))
