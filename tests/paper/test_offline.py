"""BC, IQL, TD3+BC and CQL: two updates of each against the papers' pseudo-code, in NumPy with central differences."""

import jax
import numpy as np
import pytest

from bellmax.algorithms.offline.bc import BC
from bellmax.algorithms.offline.cql import CQL
from bellmax.algorithms.offline.iql import IQL
from bellmax.algorithms.offline.td3_bc import TD3BC
from bellmax.core import Spec
from bellmax.experience import Dataset
from bellmax.spaces import Box, Discrete
from tests.paper.by_hand import assert_same, by_name, quickly
from tests.paper.control_by_hand import (
    ACTION,
    Adam,
    adam_of,
    begun,
    critic,
    dense,
    deterministic,
    folded,
    followed,
    mean,
    one,
    relus,
    replayed,
    slopes,
    stochastic,
    unit,
)

SPEC, CHOICES = Spec(Box((3,)), ACTION), Spec(Box((3,)), Discrete(3))
SMALL = {"hidden": (4,), "learning_rate": 0.02, "experience": Dataset(n=2)}
VALUED = SMALL | {"gamma": 0.9, "critic_learning_rate": 0.05}
BOTH = "[0]", "[1]"


def log_prob(params, obs, action):
    """Of each row's action: of a choice, or of numbers in -1 .. 1 under a normal with a tanh of a mean."""
    outputs = dense(params, ".head.dense", relus(params, ".torso.mlp", obs))
    if ".head.log_std" not in params:
        outputs = outputs - outputs.max(-1, keepdims=True)
        return np.array([o[a] - np.log(np.exp(o).sum()) for o, a in zip(outputs, np.int64(action))])
    log_std = np.minimum(np.maximum(params[".head.log_std"], -5), 2)
    z = (unit(action) - np.tanh(outputs)) / np.exp(log_std)
    return (-(z**2) / 2 - log_std - np.log(2 * np.pi) / 2).sum(-1)


def q(params, name, obs, action):
    """Q(s, a) of choices or numbers."""
    if f"{name}.head.weight" in params:
        return critic(params, name, obs, unit(action))
    values = dense(params, f"{name}.network.advantage", relus(params, f"{name}.network.torso.mlp", obs))
    return values[np.arange(len(values)), np.int64(action)]


def v(params, obs):
    return dense(params, ".head", relus(params, ".torso.mlp", obs))[:, 0]


def go_through(algorithm, spec, slow_update, names, n=2):
    """Two updates of the library beside `slow_update(now, batch, key)`, which moves `now` and gives the metrics.

    names: {part of the state: the optimiser's number, or None}.
    """
    state = begun(algorithm, spec, 1)
    part = lambda name: state.opt_states if name is None else by_name(getattr(state, name))
    now = {name: part(name) for name in names}
    opts = lambda: state.opt_states if hasattr(state, "opt_states") else [state.opt_state]
    now |= {f"{name} adam": Adam(opts()[index]) for name, index in names.items() if index is not None}
    update = quickly(algorithm.update)
    for seed in (2, 3):
        batch, key = replayed(seed, spec.action, n), jax.random.key(seed)
        state, metrics = update(state, batch, key)
        assert_same({name: np.asarray(x) for name, x in metrics.items()}, slow_update(now, batch, key))
        for name, index in names.items():
            assert_same(by_name(getattr(state, name)), now[name])
            if index is not None:
                assert_same(adam_of(opts()[index]), now[f"{name} adam"].state())
        assert float(state.steps) == 60


def descend(now, name, loss, rate):
    now[name] = now[f"{name} adam"].step(now[name], slopes(loss, now[name]), rate)


@pytest.mark.parametrize("spec", [SPEC, CHOICES], ids=["numbers", "choices"])
def test_bc(spec):
    def slow(now, batch, key):
        rows = [x.reshape(-1, *x.shape[2:]) for x in (batch.obs, batch.action, batch.weight, batch.reward)]
        obs, action, weight, reward = rows

        def loss(params):
            return -mean(log_prob(params, obs, action), weight)

        metrics = {"loss": loss(now["policy"]), "reward": mean(reward, weight)}
        descend(now, "policy", loss, 0.02)
        return metrics

    go_through(BC(**SMALL), spec, slow, {"policy": 0})


@pytest.mark.parametrize("spec", [SPEC, CHOICES], ids=["numbers", "choices"])
def test_iql(spec):
    iql = IQL(**VALUED, expectile=0.8, beta=2.0, largest_weight=0.02, target_rate=0.1)
    cut = []

    def slow(now, batch, key):
        reward, factor, next_obs = folded(batch, 0.9)
        obs, action, weight = batch.obs[0], batch.action[0], batch.weight[0]
        done_well = np.min([q(now["targets"], i, obs, action) for i in BOTH], axis=0)

        def value_loss(params):
            u = done_well - v(params, obs)
            return mean(np.where(u < 0, 0.2, 0.8) * u**2, weight)

        metrics = {"value_loss": value_loss(now["value"]), "value": mean(v(now["value"], obs), weight)}
        descend(now, "value", value_loss, 0.05)
        preference = np.exp(2.0 * (done_well - v(now["value"], obs)))
        cut.append((preference[weight > 0] > 0.02).mean())
        preference = np.minimum(preference, 0.02)

        def policy_loss(params):
            return -mean(preference * log_prob(params, obs, action), weight)

        metrics |= {"actor_loss": policy_loss(now["policy"]), "preference": mean(preference, weight)}
        descend(now, "policy", policy_loss, 0.02)
        y = reward + factor * v(now["value"], next_obs)

        def critic_loss(params):
            return mean(sum((q(params, i, obs, action) - y) ** 2 / 2 for i in BOTH), weight)

        errors = sum(abs(q(now["critics"], i, obs, action) - y) for i in BOTH) / 2
        metrics |= {"critic_loss": critic_loss(now["critics"]), "td_error": mean(errors, weight)}
        descend(now, "critics", critic_loss, 0.05)
        now["targets"] = followed(now["targets"], now["critics"], 0.1)
        return metrics

    go_through(iql, spec, slow, {"policy": 0, "value": 1, "critics": 2, "targets": None})
    assert 0 < np.mean(cut) < 1, "some preferences were cut"


def test_td3_bc():
    td3_bc = TD3BC(**VALUED, alpha=1.5, tau=0.1, target_noise=1.0, target_noise_clip=1.2)
    state = begun(td3_bc, SPEC, 1)
    now = {"actor": by_name(state.actor), "critics": by_name(state.critics)}
    now |= {"target actor": by_name(state.targets[0]), "target critics": by_name(state.targets[1])}
    now |= {"actor adam": Adam(state.opt_states[0]), "critics adam": Adam(state.opt_states[1])}
    moments, update = state.seen[0], quickly(td3_bc.update)
    see = lambda x: (x - np.float64(moments.mean)) / np.sqrt(np.float64(moments.variance) + 1e-8)
    for count, seed in enumerate((2, 3), 1):
        batch, key = replayed(seed, ACTION, 2), jax.random.key(seed)
        state, metrics = update(state, batch, key)
        reward, factor, next_obs = folded(batch, 0.9)
        obs, next_obs, action, weight = see(batch.obs[0]), see(next_obs), unit(batch.action[0]), batch.weight[0]
        noise = np.clip(np.asarray(jax.random.normal(key, (12, 2)), np.float64), -1.2, 1.2)
        after = np.clip(deterministic(now["target actor"], next_obs) + noise, -1, 1)
        y = reward + factor * np.min([critic(now["target critics"], i, next_obs, after) for i in BOTH], axis=0)

        def critic_loss(params, obs=obs, action=action, y=y, weight=weight):
            return mean(sum((critic(params, i, obs, action) - y) ** 2 / 2 for i in BOTH), weight)

        said = [critic(now["critics"], i, obs, action) for i in BOTH]
        expected = {"critic_loss": critic_loss(now["critics"]), "value": mean(said[0], weight)}
        expected |= {"td_error": mean(sum(abs(x - y) for x in said) / 2, weight), "actor_loss": 0.0, "distance": 0.0}
        descend(now, "critics", critic_loss, 0.05)
        if count % 2 == 0:
            chosen = critic(now["critics"], "[0]", obs, deterministic(now["actor"], obs))
            strength = 1.5 / mean(abs(chosen), weight)  # a number to the gradient

            def actor_loss(params, obs=obs, action=action, weight=weight, strength=strength):
                done = deterministic(params, obs)
                apart = ((done - action) ** 2).mean(-1)
                return mean(apart - strength * critic(now["critics"], "[0]", obs, done), weight)

            expected["actor_loss"] = 2 * actor_loss(now["actor"])
            apart = ((deterministic(now["actor"], obs) - action) ** 2).mean(-1)
            expected["distance"] = 2 * mean(apart, weight)
            descend(now, "actor", actor_loss, 0.02)
            for name in ("actor", "critics"):
                now[f"target {name}"] = followed(now[f"target {name}"], now[name], 0.1)
        assert_same({name: np.asarray(x) for name, x in metrics.items()}, expected)
        got = {"actor": state.actor, "critics": state.critics, "target actor": state.targets[0]}
        for name, params in (got | {"target critics": state.targets[1]}).items():
            assert_same(by_name(params), now[name])


def test_td3_bc_sees_all_that_was_logged_as_unit_normal():
    td3_bc, draw = TD3BC(**VALUED), np.random.default_rng(0)
    state, batch = begun(td3_bc, SPEC, 1), replayed(2, ACTION, 2)
    fresh = td3_bc.init(jax.random.key(0), SPEC)
    obs = np.float32(draw.normal(5, 3, (200, 1, 3)))
    seen = td3_bc.observe(fresh, batch._replace(obs=obs, weight=np.ones((200, 1), np.float32))).seen[0]
    np.testing.assert_allclose(seen.mean, obs.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(seen.variance, obs.var((0, 1)), rtol=1e-4)
    again = td3_bc.act(state, obs[0, 0], None).action
    moments = state.seen[0]
    shown = (obs[0, 0] - moments.mean) / np.sqrt(moments.variance + 1e-8)
    np.testing.assert_allclose(unit(np.asarray(again)), deterministic(by_name(state.actor), shown[None])[0], atol=1e-5)


def test_cql():
    cql, N = CQL(**VALUED, alpha=0.7, samples=2, tau=0.1, entropy_scale=0.6), 2

    def normal(key):
        return np.asarray(jax.random.normal(key, (12, 2)), np.float64)

    def slow(now, batch, key):
        target_key, drawn_key, actor_key = jax.random.split(key, 3)
        reward, factor, next_obs = folded(batch, 0.9)
        obs, action, weight = batch.obs[0], unit(batch.action[0]), batch.weight[0]
        after, _ = stochastic(now["actor"], next_obs, normal(target_key))
        y = reward + factor * np.min([critic(now["targets"], i, next_obs, after) for i in BOTH], axis=0)

        even_key, now_key, next_key = jax.random.split(drawn_key, 3)
        even = np.asarray(jax.random.uniform(even_key, (12, N, 2), minval=-1.0), np.float64)
        drawn = [(even[:, k], np.full(12, np.log(0.25))) for k in range(N)]  # half of 2 is the density in -1 .. 1
        drawn += [stochastic(now["actor"], obs, normal(k)) for k in jax.random.split(now_key, N)]
        drawn += [stochastic(now["actor"], next_obs, normal(k)) for k in jax.random.split(next_key, N)]

        def gap(params):
            """log of the mean of exp Q / density, less Q of what was done, of both critics."""
            total = 0
            for i in BOTH:
                weighed = [np.exp(critic(params, i, obs, a)) / np.exp(density) for a, density in drawn]
                total = total + np.log(np.mean(weighed, axis=0)) - critic(params, i, obs, action)
            return total

        def critic_loss(params):
            errors = sum((critic(params, i, obs, action) - y) ** 2 / 2 for i in BOTH)
            return mean(errors + 0.7 * gap(params), weight)

        def actor_loss(params):
            a, log_p = stochastic(params, obs, normal(actor_key))
            value = np.min([critic(now["critics"], i, obs, a) for i in BOTH], axis=0)
            return mean(np.exp(now["log_temperature"][""]) * log_p - value, weight)

        said = [critic(now["critics"], i, obs, action) for i in BOTH]
        metrics = {"critic_loss": critic_loss(now["critics"]), "value": mean(said[0], weight)}
        metrics |= {"td_error": mean(sum(abs(x - y) for x in said) / 2, weight)}
        metrics |= {"gap": mean(gap(now["critics"]) / 2, weight), "temperature": np.exp(now["log_temperature"][""])}
        descend(now, "critics", critic_loss, 0.05)
        entropy = -mean(stochastic(now["actor"], obs, normal(actor_key))[1], weight)
        metrics |= {"actor_loss": actor_loss(now["actor"]), "entropy": entropy}
        descend(now, "actor", actor_loss, 0.02)
        now["log_temperature"] = now["log_temperature adam"].step(now["log_temperature"], one(entropy + 1.2), 0.02)
        now["targets"] = followed(now["targets"], now["critics"], 0.1)
        return metrics

    go_through(cql, SPEC, slow, {"actor": 0, "critics": 1, "log_temperature": 2, "targets": None})
