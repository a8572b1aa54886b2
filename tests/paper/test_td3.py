"""TD3's update is that of Fujimoto et al., 2018, algorithm 1, in NumPy with central differences."""

import jax
import numpy as np

from bellmax.algorithms.control.td3 import TD3
from bellmax.core import Spec
from bellmax.experience import Replay
from bellmax.maths.noise import GaussianNoise
from bellmax.spaces import Box
from tests.paper.by_hand import assert_same, by_name, quickly
from tests.paper.control_by_hand import (
    ACTION,
    Adam,
    adam_of,
    begun,
    critic,
    deterministic,
    folded,
    followed,
    mean,
    replayed,
    slopes,
    unit,
)

SPEC = Spec(Box((3,)), ACTION)
NOISE = {"target_noise": 1.0, "target_noise_clip": 1.2}
TD3_SMALL = TD3(hidden=(4, 3), gamma=0.9, tau=0.1, learning_rate=0.02, critic_learning_rate=0.05, **NOISE)
BOTH = "[0]", "[1]"


def slow_update(td3, now, batch, key, count):
    """`now` [name: parameters or Adam] moves on, in update number `count` -> metrics."""
    reward, factor, next_obs = folded(batch, td3.gamma)
    obs, action, weight = batch.obs[0], unit(batch.action[0]), batch.weight[0]
    noise = np.asarray(jax.random.normal(key, (12, 2)), np.float64)
    noise = np.maximum(np.minimum(noise, 1.2), -1.2)
    unclipped = deterministic(now["target actor"], next_obs) + noise
    next_action = np.maximum(np.minimum(unclipped, 1), -1)
    assert (np.abs(noise) == 1.2).any(), "the noise is cut"
    assert (np.abs(unclipped) > 1).any(), "and so are actions"
    y = reward + factor * np.min([critic(now["target critics"], i, next_obs, next_action) for i in BOTH], axis=0)
    errors = [critic(now["critics"], i, obs, action) - y for i in BOTH]
    metrics = {
        "critic_loss": mean(sum(e**2 / 2 for e in errors), weight),
        "value": mean(errors[0] + y, weight),
        "td_error": mean(sum(abs(e) for e in errors) / 2, weight),
        "priority": sum(abs(e) for e in errors) / 2,
        "actor_loss": 0.0,
    }

    def critic_loss(params):
        return mean(sum((critic(params, i, obs, action) - y) ** 2 / 2 for i in BOTH), weight)

    def actor_loss(params):
        return -mean(critic(now["critics"], "[0]", obs, deterministic(params, obs)), weight)

    rate = td3.critic_learning_rate
    now["critics"] = now["critics adam"].step(now["critics"], slopes(critic_loss, now["critics"]), rate)
    if count % 2 == 0:
        metrics["actor_loss"] = 2 * actor_loss(now["actor"])
        now["actor"] = now["actor adam"].step(now["actor"], slopes(actor_loss, now["actor"]), td3.learning_rate)
        for name in ("actor", "critics"):
            now[f"target {name}"] = followed(now[f"target {name}"], now[name], td3.tau)
    return metrics


def test_updates_are_those_of_the_pseudo_code():
    n = 3
    td3 = TD3_SMALL.replace(experience=Replay(n=n))
    state = begun(td3, SPEC, 1)
    now = {"actor": by_name(state.actor), "critics": by_name(state.critics)}
    now |= {"target actor": by_name(state.targets[0]), "target critics": by_name(state.targets[1])}
    now |= {"actor adam": Adam(state.opt_states[0]), "critics adam": Adam(state.opt_states[1])}
    update = quickly(td3.update)
    for seed in (1, 2, 3, 4):
        batch, key = replayed(seed, ACTION, n), jax.random.key(seed)
        state, metrics = update(state, batch, key)
        expected = slow_update(td3, now, batch, key, seed)
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected)
        got = {"actor": state.actor, "critics": state.critics}
        got |= {"target actor": state.targets[0], "target critics": state.targets[1]}
        for part, params in got.items():
            assert_same(by_name(params), now[part])
        for part, opt_state in zip(("actor", "critics"), state.opt_states):
            assert_same(adam_of(opt_state), now[f"{part} adam"].state())
        assert (float(state.steps), int(state.updates)) == (60, seed)


def test_acting_is_the_policy_with_noise():
    td3 = TD3_SMALL.replace(noise=GaussianNoise(0.05))
    state, obs, keys = begun(td3, SPEC, 1), np.float32([0.1, -0.2, 0.3]), jax.random.split(jax.random.key(0), 1000)
    policy = deterministic(by_name(state.actor), obs[None])[0]
    assert (np.abs(policy) < 0.8).all()
    memory = td3.begin(state, obs, keys[0])
    act = jax.jit(jax.vmap(td3.act, (None, None, 0, None)))
    drawn = unit(np.asarray(act(state, obs, keys, memory).action))
    assert (np.abs(drawn.mean(0) - policy) < 4 * 0.05 / np.sqrt(1000)).all()
    assert (np.abs(drawn.std(0) / 0.05 - 1) < 4 / np.sqrt(2000)).all()
    np.testing.assert_allclose(unit(td3.greedy(state, obs, keys[0], memory).action), policy, atol=1e-5)
    even = unit(np.asarray(act(state._replace(steps=np.float32(0)), obs, keys, memory).action))
    assert (np.abs(np.sort(even, 0)[[250, 500, 750]] - [[-0.5], [0.0], [0.5]]) < 0.13).all()
