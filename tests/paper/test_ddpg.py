"""DDPG's update is that of Lillicrap et al., 2016, algorithm 1, in NumPy with central differences."""

import jax
import numpy as np

from bellmax.algorithms.control.ddpg import DDPG
from bellmax.core import Spec
from bellmax.experience import Replay
from bellmax.maths.noise import OrnsteinUhlenbeck
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
DDPG_SMALL = DDPG(hidden=(4, 3), gamma=0.9, tau=0.1, learning_rate=0.02, critic_learning_rate=0.05)


def slow_update(ddpg, now, batch):
    """`now` [name: parameters or Adam] moves on -> metrics."""
    reward, factor, next_obs = folded(batch, ddpg.gamma)
    obs, action, weight = batch.obs[0], unit(batch.action[0]), batch.weight[0]
    y = reward + factor * critic(now["target critic"], "", next_obs, deterministic(now["target actor"], next_obs))
    error = critic(now["critic"], "", obs, action) - y
    metrics = {"critic_loss": mean(error**2 / 2, weight), "value": mean(error + y, weight), "priority": abs(error)}
    metrics["td_error"] = mean(abs(error), weight)

    def critic_loss(params):
        return mean((critic(params, "", obs, action) - y) ** 2 / 2, weight)

    def actor_loss(params):
        return -mean(critic(new_critic, "", obs, deterministic(params, obs)), weight)

    rates = ddpg.learning_rate, ddpg.critic_learning_rate
    new_critic = now["critic adam"].step(now["critic"], slopes(critic_loss, now["critic"]), rates[1])
    metrics["actor_loss"] = actor_loss(now["actor"])
    actor = now["actor adam"].step(now["actor"], slopes(actor_loss, now["actor"]), rates[0])
    for name, online in (("actor", actor), ("critic", new_critic)):
        now |= {name: online, f"target {name}": followed(now[f"target {name}"], online, ddpg.tau)}
    return metrics


def test_two_updates_are_those_of_the_pseudo_code():
    n = 3
    ddpg = DDPG_SMALL.replace(experience=Replay(n=n))
    state = begun(ddpg, SPEC, 1)
    parts = {"actor": state.actor, "critic": state.critic}
    now = {name: by_name(part) for name, part in parts.items()}
    now |= {f"target {name}": by_name(part) for name, part in zip(parts, state.targets)}
    now |= {f"{name} adam": Adam(opt_state) for name, opt_state in zip(parts, state.opt_states)}
    update = quickly(ddpg.update)
    for seed in (2, 3):
        batch = replayed(seed, ACTION, n)
        state, metrics = update(state, batch, jax.random.key(0))
        expected = slow_update(ddpg, now, batch)
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected)
        assert_same(by_name(state.actor), now["actor"])
        assert_same(by_name(state.critic), now["critic"])
        for part, target, opt_state in zip(parts, state.targets, state.opt_states):
            assert_same(by_name(target), now[f"target {part}"])
            assert_same(adam_of(opt_state), now[f"{part} adam"].state())
        assert float(state.steps) == 60


def test_acting_is_the_policy_with_noise_that_goes_on_within_an_episode():
    ddpg = DDPG_SMALL.replace(noise=OrnsteinUhlenbeck(0.5, 0.0, 0.5))  # without a shake it falls back by a quarter
    state, obs, key = begun(ddpg, SPEC, 1), np.float32([0.1, -0.2, 0.3]), jax.random.key(0)
    policy = deterministic(by_name(state.actor), obs[None])[0]
    memory = ddpg.begin(state, obs, key)
    assert np.asarray(memory.noise).tolist() == [0, 0]
    memory = memory._replace(noise=np.float32([0.4, -3.0]))
    decision = jax.jit(ddpg.act)(state, obs, key, memory)
    np.testing.assert_allclose(unit(decision.action), [policy[0] + 0.3, -1], atol=1e-5)  # cut at the bound
    np.testing.assert_allclose(decision.memory.noise, [0.3, -2.25], atol=1e-6)
    greedy = ddpg.greedy(state, obs, key, memory)
    np.testing.assert_allclose(unit(greedy.action), policy, atol=1e-5)
    assert greedy.memory is memory
    keys = jax.random.split(key, 500)
    even = jax.vmap(ddpg.act, (None, None, 0, None))(state._replace(steps=np.float32(0)), obs, keys, memory).action
    assert (np.abs(np.sort(unit(even), 0)[[125, 250, 375]] - [[-0.5], [0.0], [0.5]]) < 0.2).all()
