"""R2D2's update is its pseudo-code (Kapturowski et al., 2019, section 2.3), played by loops in NumPy."""

import jax
import numpy as np
import pytest

from bellmax import Box, Discrete, EpsilonGreedy, Linear, Spec
from bellmax.algorithms.value.r2d2 import R2D2
from bellmax.experience import Sequences
from bellmax.maths.values import rescale, restore
from bellmax.spaces import Masked, MultiBinary
from tests.paper.by_hand import (
    Adam,
    assert_same,
    begun,
    by_name,
    dense_backward,
    length_of,
    quickly,
    random_batch,
    scheduled,
    torso,
    torso_backward,
    zeros,
)
from tests.paper.gru_by_hand import gru, gru_backward

ACTIONS, MEMORY, BATCH, WINDOW = 3, 4, 4, 7
SETTINGS = {"hidden": (5,), "memory_size": MEMORY, "activation": "tanh", "gamma": 0.9, "max_grad_norm": 0.3}
CASES = {
    "n = 3, burn-in": R2D2(**SETTINGS, experience=Sequences(window=WINDOW, burn_in=3), n=3, target_every=2),
    "n = 1, no burn-in, a slow target, a running clock": R2D2(
        **SETTINGS,
        experience=Sequences(window=WINDOW, burn_in=0),
        n=1,
        target_every=1,
        target_rate=0.3,
        epsilon=0.2,
        eta=0.4,
    ).replace(learning_rate=Linear(0.02, 0.004, 200.0)),
}


def h(x, epsilon):
    return np.sign(x) * (np.sqrt(abs(x) + 1) - 1) + epsilon * x


def h_inverse(y, epsilon):
    return np.sign(y) * (((np.sqrt(1 + 4 * epsilon * (abs(y) + 1 + epsilon)) - 1) / (2 * epsilon)) ** 2 - 1)


def look(params, memory, obs, begins=False):
    """One step: what went through the torso, what the cell leaves for the way back, the memory behind it, Q."""
    kept = torso(params, ".torso", obs)
    memory, gates = gru(params, np.zeros_like(memory) if begins else memory, kept[-1])
    advantage = memory @ params[".advantage.weight"] + params[".advantage.bias"]
    value = memory @ params[".value.weight"] + params[".value.bias"]
    return kept, gates, memory, value + advantage - advantage.mean()


def read(params, algorithm, batch, begins, n):
    """One stretch behind its burn-in, step by step."""
    memory = batch.extras["memory"][0, n]
    steps = []
    for t in range(len(batch.obs)):
        steps.append(look(params, memory, batch.obs[t, n], begins[t, n]))
        memory = steps[-1][2]
    return steps[algorithm.experience.burn_in :]


def slow_targets(r2d2, params, target_params, batch, begins, n):
    """y_t = h(sum of up to n rewards + gamma^n h^-1(Q(s_t+n, a*; theta-))), fewer at an end."""
    burn_in, epsilon, y = r2d2.experience.burn_in, r2d2.epsilon, np.zeros(WINDOW)
    online, target = (read(p, r2d2, batch, begins, n) for p in (params, target_params))
    for t in range(WINDOW):
        total, discount = 0.0, 1.0
        for k in range(t, min(t + r2d2.n, WINDOW)):
            row = burn_in + k
            total += discount * batch.reward[row, n]
            discount *= r2d2.gamma * batch.discount[row, n]
            if batch.last[row, n]:
                break
        chosen = np.argmax(look(params, online[k][2], batch.next_obs[row, n])[3])
        value = look(target_params, target[k][2], batch.next_obs[row, n])[3][chosen]
        y[t] = h(total + discount * h_inverse(value, epsilon), epsilon)
    return y


def slow_update(r2d2, params, target_params, adam, batch, steps):
    """A batch of stretches -> new parameters, metrics. `adam` moves on."""
    begins = np.concatenate([np.zeros_like(batch.last[:1]), batch.last[:-1]])
    burn_in, grads, terms, priority = r2d2.experience.burn_in, zeros(params), [], []
    weight = batch.weight[burn_in:]
    for n in range(BATCH):
        y, now = slow_targets(r2d2, params, target_params, batch, begins, n), read(params, r2d2, batch, begins, n)
        from_later, errors = np.zeros(MEMORY), []
        for t in reversed(range(WINDOW)):
            (kept, gates, memory, q), action, share = now[t], batch.action[burn_in + t, n], weight[t, n] / weight.sum()
            if weight[t, n]:
                errors.append(abs(q[action] - y[t]))
                terms.append(((q[action] - y[t]) ** 2 / 2, abs(q[action] - y[t]), q[action]))
            slope = share * (q[action] - y[t])  # dQ_a / dV = 1, dQ_a / dA_i = 1[i = a] - 1 / actions
            by_memory = dense_backward(params, grads, ".value", memory, np.array([slope])) + from_later
            by_advantage = slope * (np.eye(ACTIONS)[action] - 1 / ACTIONS)
            by_memory = by_memory + dense_backward(params, grads, ".advantage", memory, by_advantage)
            by_features, from_later = gru_backward(params, grads, gates, by_memory)
            torso_backward(params, grads, ".torso", kept, by_features)
            if begins[burn_in + t, n]:
                from_later = np.zeros(MEMORY)
        priority.append(r2d2.eta * max(errors) + (1 - r2d2.eta) * sum(errors) / len(errors))
    metrics = dict(zip(("loss", "td_error", "value"), np.mean(terms, axis=0))) | {"grad_norm": length_of(grads)}
    metrics |= {"priority": np.array(priority)}
    return adam.step(params, grads, scheduled(r2d2.learning_rate, steps), r2d2.max_grad_norm), metrics


def stretches(seed, r2d2):
    """Stretches of made-up episodes with the memories that were stored; the burn-in weighs too, and must not count."""
    batch = random_batch(seed, Discrete(ACTIONS), length=r2d2.experience.burn_in + WINDOW, num_envs=BATCH)
    draw, steps = np.random.default_rng(seed), np.full(batch.reward.shape, 40.0 + seed)
    memory = np.float64(np.float32(np.tanh(draw.normal(size=(*batch.reward.shape, MEMORY)))))
    return batch._replace(extras={"memory": memory, "steps": steps})


@pytest.mark.parametrize("name", CASES)
def test_updates_are_those_of_the_pseudo_code(name):
    r2d2 = CASES[name]
    spec = Spec(Box((3,)), Discrete(ACTIONS), BATCH)
    state = begun(r2d2, spec, seed=1)._replace(target=begun(r2d2, spec, seed=2).network, steps=np.float32(50))
    update, params, target_params = quickly(r2d2.update), by_name(state.network), by_name(state.target)
    adam, steps = Adam(params), 50.0
    for seed in (3, 4):
        batch = stretches(seed, r2d2)
        state, metrics = update(state, batch, jax.random.key(0))
        params, expected = slow_update(r2d2, params, target_params, adam, batch, steps)
        steps = 40.0 + seed
        if int(state.updates) % r2d2.target_every == 0:
            rate = r2d2.target_rate
            target_params = {name: old + rate * (params[name] - old) for name, old in target_params.items()}
        assert float(state.steps) == steps
        assert_same({k: np.asarray(x) for k, x in metrics.items()}, expected)
        assert_same(by_name(state.network), params)
        assert_same(by_name(state.target), target_params)
        assert_same(by_name(state.opt_state[1].mu), adam.m, absolute=1e-6)
        assert batch.last[r2d2.experience.burn_in :][:-1].any(), "episodes begin in the middle"
    assert int(state.updates) == 2


def test_the_controls_of_the_pseudo_code_are_seen():
    """Without the stored memory, with another n, or with h left out, the numbers are others."""
    r2d2 = CASES["n = 3, burn-in"]
    state = begun(r2d2, Spec(Box((3,)), Discrete(ACTIONS), BATCH), seed=1)
    batch = stretches(3, r2d2)
    update = quickly(lambda algorithm, batch: algorithm.update(state, batch, jax.random.key(0))[1]["loss"])
    empty = batch._replace(extras=batch.extras | {"memory": 0 * batch.extras["memory"]})
    changes = [r2d2.replace(**change) for change in ({"n": 2}, {"epsilon": 0.5}, {"gamma": 0.5})]
    others = [update(r2d2, empty), *(update(changed, batch) for changed in changes)]
    assert np.abs(np.array(others) - update(r2d2, batch)).min() > 1e-3 * update(r2d2, batch)


def test_it_acts_with_a_memory_and_stores_the_one_it_had():
    r2d2 = CASES["n = 3, burn-in"].replace(exploration=EpsilonGreedy(0.0))
    spec = Spec(Masked(Box((3,)), MultiBinary(ACTIONS)), Discrete(ACTIONS), 1)
    state, obs = begun(r2d2, spec, seed=1), np.random.default_rng(0).normal(size=(5, 3))
    params, act = by_name(state.network), jax.jit(r2d2.act)
    best = jax.jit(r2d2.greedy)
    memory, by_hand, seen = r2d2.begin(state, None, jax.random.key(0)), np.zeros(MEMORY), set()
    assert not np.asarray(memory).any()
    for x in obs:
        *_, after, q = look(params, by_hand, x)
        for banned in range(ACTIONS):
            legal = np.arange(ACTIONS) != banned
            decision = act(state, Masked(np.float32(x), legal), jax.random.key(banned), memory)
            assert int(decision.action) == np.argmax(np.where(legal, q, -np.inf))
            greedy = best(state, Masked(np.float32(x), legal), jax.random.key(0), memory)
            assert int(greedy.action) == int(decision.action)
            np.testing.assert_allclose(decision.extras["memory"], by_hand, atol=1e-6)
            np.testing.assert_allclose(decision.memory, after, atol=1e-6)
            seen.add(int(decision.action))
        memory, by_hand = decision.memory, after
    assert len(seen) > 1


# With epsilon = 0: h(3) = sqrt 4 - 1 = 1, h(-8) = -(sqrt 9 - 1) = -2, h(0.21) = 1.1 - 1. Another epsilon adds
# epsilon x: h(99) = 9 + 0.001 * 99.
BY_HAND = [(3.0, 0.0, 1.0), (-8.0, 0.0, -2.0), (0.21, 0.0, 0.1), (0.0, 0.1, 0.0), (99.0, 0.001, 9.099), (3.0, 0.5, 2.5)]


@pytest.mark.parametrize(("x", "epsilon", "y"), BY_HAND)
def test_rescaling_by_hand(x, epsilon, y):
    assert float(rescale(np.float32(x), epsilon)) == pytest.approx(y, rel=1e-6, abs=1e-7)
    assert float(restore(np.float32(y), epsilon)) == pytest.approx(x, rel=2e-6, abs=1e-6)


@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 1.0])
def test_restoring_undoes_rescaling(epsilon):
    x = np.float32(np.concatenate([-np.geomspace(1e-6, 1e6, 60)[::-1], [0.0], np.geomspace(1e-6, 1e6, 60)]))
    np.testing.assert_allclose(restore(rescale(x, epsilon), epsilon), x, rtol=2e-6)
    np.testing.assert_allclose(restore(x, epsilon), h_inverse(np.float64(x), epsilon), rtol=2e-6, atol=1e-9)
    assert (np.diff(rescale(x, epsilon)) > 0).all()
    slope = jax.vmap(jax.grad(lambda y: restore(y, epsilon)))(x[x != 0])
    assert np.isfinite(slope).all()
