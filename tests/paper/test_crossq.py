"""CrossQ's update (Bhatt et al., 2024, figure 2, with batch renormalisation) in NumPy with central differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.control.crossq import CrossQ
from bellmax.core import Spec
from bellmax.experience import Replay
from bellmax.networks.batch_renorm import BatchRenorm, Running
from bellmax.spaces import Box
from tests.paper.by_hand import assert_same, by_name, quickly
from tests.paper.control_by_hand import (
    ACTION,
    Adam,
    adam_of,
    begun,
    dense,
    folded,
    mean,
    one,
    replayed,
    slopes,
    squashed,
    unit,
)

SPEC = Spec(Box((3,)), ACTION)
BOTH = "[0]", "[1]"
CROSSQ_SMALL = CrossQ(hidden=(3,), critic_hidden=(4, 3), gamma=0.9, learning_rate=0.02, critic_learning_rate=0.05)
CROSSQ_SMALL = CROSSQ_SMALL.replace(actor_every=2)


class Norms:
    """The renormalisation of one network, layer after layer.

    `fixed`: r and d of each layer, found once with the parameters as they are, for no gradient goes through them.
    """

    def __init__(self, seen, name, counted=None, fixed=None):
        self.seen, self.name, self.counted, self.fixed = seen, name, counted, fixed
        self.found, self.moved = [], {}

    def __call__(self, x, params, name):
        k = len(self.found)
        mu, variance, batches = (self.seen[f"{self.name}[{k}].{part}"] for part in ("mean", "variance", "batches"))
        y, sigma = (x - mu) / np.sqrt(variance + 1e-3), np.sqrt(variance + 1e-3)
        self.found.append((1, 0))
        if self.counted is not None:
            here = x[self.counted]
            m, s = here.mean(0), np.sqrt(here.var(0) + 1e-3)
            r, d = (np.clip(s / sigma, 1 / 3, 3), np.clip((m - mu) / sigma, -5, 5)) if batches >= 100_000 else (1, 0)
            self.found[-1] = r, d = (r, d) if self.fixed is None else self.fixed[k]
            y = (x - m) / s * r + d
            new = 0.99 * mu + 0.01 * m, 0.99 * variance + 0.01 * here.var(0), batches + 1
            self.moved |= {f"{self.name}[{k}].{part}": x for part, x in zip(("mean", "variance", "batches"), new)}
        return params[f"{name}[{k}].scale"] * y + params[f"{name}[{k}].shift"]


def features(params, name, x, norms):
    k = 0
    while f"{name}mlp.mlp.layers[{k}].weight" in params:
        x = np.maximum(dense(params, f"{name}mlp.mlp.layers[{k}]", norms(x, params, f"{name}mlp.norms")), 0)
        k += 1
    return norms(x, params, f"{name}mlp.norms")


def critic(params, name, obs, action, norms):
    x = features(params, f"{name}.", np.concatenate([obs, action], -1), norms)
    return dense(params, f"{name}.head", x)[:, 0]


def slow_update(crossq, now, batch, key, count):
    """`now` [name: parameters or Adam] moves on, in update number `count` -> metrics."""
    next_noise, noise = (np.asarray(jax.random.normal(k, (12, 2)), np.float64) for k in jax.random.split(key))
    reward, factor, next_obs = folded(batch, crossq.gamma)
    obs, action, weight, alpha = batch.obs[0], unit(batch.action[0]), batch.weight[0], np.exp(now["alpha"][""])
    seen, actor_seen, counted = now["critics seen"], now["actor seen"], weight > 0

    next_features = features(now["actor"], ".", next_obs, Norms(actor_seen, ""))
    next_action, log_prob = squashed(next_features, now["actor"], next_noise)
    joint = np.concatenate([obs, next_obs]), np.concatenate([action, next_action])
    norms = {name: Norms(seen, name, np.tile(counted, 2)) for name in BOTH}
    q = np.array([critic(now["critics"], name, *joint, norms[name]) for name in BOTH])
    y = reward + factor * (q[:, 12:].min(0) - alpha * log_prob)
    errors = q[:, :12] - y
    metrics = {
        "critic_loss": mean((errors**2 / 2).sum(0), weight),
        "value": mean(q[:, :12].mean(0), weight),
        "td_error": mean(abs(errors).mean(0), weight),
        "priority": abs(errors).mean(0),
        "alpha": alpha,
        "actor_loss": 0.0,
        "entropy": 0.0,
    }

    def critic_loss(params):
        fixed = {name: Norms(seen, name, np.tile(counted, 2), norms[name].found) for name in BOTH}
        q = np.array([critic(params, name, *joint, fixed[name])[:12] for name in BOTH])
        return mean(((q - y) ** 2 / 2).sum(0), weight)

    rate = crossq.critic_learning_rate
    now["critics"] = now["critics adam"].step(now["critics"], slopes(critic_loss, now["critics"]), rate)
    now["critics seen"] = norms["[0]"].moved | norms["[1]"].moved
    if count % 2 == 0:
        found = slow_improve(crossq, now, obs, weight, alpha, noise)
        metrics |= {name: 2 * x for name, x in found.items()}
    return metrics


def slow_improve(crossq, now, obs, weight, alpha, noise):
    """One step of the actor and the temperature -> metrics."""
    actor_norms = Norms(now["actor seen"], "", weight > 0)
    log_prob = squashed(features(now["actor"], ".", obs, actor_norms), now["actor"], noise)[1]

    def actor_loss(params):
        fixed = Norms(now["actor seen"], "", weight > 0, actor_norms.found)
        drawn, log_prob = squashed(features(params, ".", obs, fixed), params, noise)
        q = [critic(now["critics"], name, obs, drawn, Norms(now["critics seen"], name)) for name in BOTH]
        return mean(alpha * log_prob - np.min(q, axis=0), weight)

    found = {"actor_loss": actor_loss(now["actor"]), "entropy": -mean(log_prob, weight)}
    now["actor"] = now["actor adam"].step(now["actor"], slopes(actor_loss, now["actor"]), crossq.learning_rate)
    now["alpha"] = now["alpha adam"].step(now["alpha"], one(found["entropy"] + 2), crossq.learning_rate)
    now["actor seen"] = actor_norms.moved
    return found


PARTS = {"actor": "actor", "critics": "critics", "alpha": "log_alpha"}
PARTS |= {"actor seen": "actor_seen", "critics seen": "critics_seen"}
ADAMS = "actor adam", "critics adam", "alpha adam"


# The batches seen before: after 99_999 the second update is the first that renormalises.
@pytest.mark.parametrize(("n", "batches"), [(1, 0), (3, 99_999)])
def test_updates_are_those_of_the_pseudo_code(n, batches):
    crossq = CROSSQ_SMALL.replace(experience=Replay(n=n))
    state = begun(crossq, SPEC, 1)
    older = lambda seen: jax.tree.map(lambda x: x + x.dtype.type(batches if x.dtype == np.int32 else 0), seen)
    state = state._replace(actor_seen=older(state.actor_seen), critics_seen=older(state.critics_seen))
    now = {name: by_name(getattr(state, field)) for name, field in PARTS.items()}
    adams = zip(ADAMS, state.opt_states, (0.5, 0.5, 0.9))
    now |= {name: Adam(opt_state, beta1) for name, opt_state, beta1 in adams}
    update = quickly(crossq.update)
    for seed in (1, 2):
        batch, key = replayed(seed, ACTION, n), jax.random.key(seed)
        state, metrics = update(state, batch, key)
        expected = slow_update(crossq, now, batch, key, seed)
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected, 5e-4, 5e-5)
        for name, field in PARTS.items():
            assert_same(by_name(getattr(state, field)), now[name], 5e-4, 5e-5)
        for name, opt_state in zip(ADAMS, state.opt_states):
            assert_same(adam_of(opt_state), now[name].state(), 5e-4, 5e-5)
        assert (float(state.steps), int(state.updates)) == (60, seed)


def test_acting_uses_the_running_statistics():
    state, key, obs = begun(CROSSQ_SMALL, SPEC, 1), jax.random.key(0), np.float32([0.1, -0.2, 0.3])
    params, seen = by_name(state.actor), by_name(state.actor_seen)
    by_hand = squashed(features(params, ".", obs[None].astype(float), Norms(seen, "")), params, np.zeros((1, 2)))[0][0]
    np.testing.assert_allclose(unit(CROSSQ_SMALL.greedy(state, obs, key).action), by_hand, atol=1e-5)
    other = state._replace(actor_seen=jax.tree.map(lambda x: x + 1, state.actor_seen))
    assert np.abs(unit(CROSSQ_SMALL.greedy(other, obs, key).action) - by_hand).max() > 0.01
    even = jax.vmap(CROSSQ_SMALL.act, (None, None, 0))(state._replace(steps=0), obs, jax.random.split(key, 500)).action
    assert (np.abs(np.sort(unit(even), 0)[[125, 250, 375]] - [[-0.5], [0.0], [0.5]]) < 0.2).all()


def test_renormalisation_by_hand():
    """Of 1, 3 (and 100, which weighs nothing): mean 2, variance 1; the running ones are 1 and 0.25."""
    norm, x, weight = BatchRenorm(1), jnp.array([[1.0], [3.0], [100.0]]), jnp.array([0.5, 2.0, 0.0])
    young = Running(jnp.ones(1), 0.25 * jnp.ones(1), jnp.int32(0))
    y, moved = norm.learning(x, young, weight)
    np.testing.assert_allclose(y[:2, 0], [-1, 1], atol=1e-3)  # (x - 2) / 1
    np.testing.assert_allclose([moved.mean[0], moved.variance[0], moved.batches], [1.01, 0.2575, 1], rtol=1e-6)
    # r = 1 / 0.5 = 2 and d = (2 - 1) / 0.5 = 2, so y = -1 * 2 + 2 and 1 * 2 + 2: what the running ones make of it
    y, _ = norm.learning(x, young._replace(batches=jnp.int32(100_000)), weight)
    np.testing.assert_allclose(y[:2, 0], [0, 4], atol=2e-2)
    np.testing.assert_allclose(y[:2], norm(x[:2], young), atol=2e-2)
    # Where nothing has weight, all stays finite.
    assert np.isfinite(norm.learning(x, young, jnp.zeros(3))[0]).all()
