"""World Models: V's and M's losses against slow loops in NumPy, what C does, and who learns from whom."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.algorithms.models import world_models

TIME, BATCH = 3, 2
SPEC = bm.Spec(bm.Box((10, 10, 1), 0, 255, "uint8"), bm.Discrete(2))
ALGORITHM = bm.WorldModels(latent=2, hidden=4, memory_size=3, mixtures=2, kl_tolerance=0.1, picture_weight=3.0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(scope="module")
def state():
    begun = jax.jit(lambda key: ALGORITHM.init(key, SPEC))(jax.random.key(0))
    return begun._replace(controller=jax.random.normal(jax.random.key(1), begun.controller.shape))


@pytest.fixture(scope="module")
def batch():
    draw = np.random.default_rng(0)
    obs, next_obs = (draw.integers(0, 256, (TIME, BATCH, 10, 10, 1), np.uint8) for _ in range(2))
    discount = np.array([[1, 0], [1, 1], [1, 1]], np.float32)
    last, weight = discount == 0, np.array([[1, 1], [1, 1], [1, 0]], np.float32)
    action, reward = draw.integers(0, 2, (TIME, BATCH)).astype(np.int32), draw.normal(size=(TIME, BATCH))
    fields = obs, action, np.float32(reward), discount, last, next_obs, {"steps": np.full((TIME, BATCH), 9.0)}, weight
    return bm.Transition(*jax.tree.map(jnp.asarray, fields))


def encoded(v, picture):
    """A picture, uint8 [10, 10, 1] -> mean and deviation, pixel by pixel."""
    kernel, bias = np.asarray(v.kernels[0]), np.asarray(v.biases[0])
    features = np.zeros((4, 4, 16))
    for i, j in np.ndindex(4, 4):
        patch = picture[2 * i : 2 * i + 4, 2 * j : 2 * j + 4] / 255
        features[i, j] = np.maximum(np.einsum("abc,abco->o", patch, kernel) + bias, 0)
    mean, log_std = (features.reshape(-1) @ np.asarray(head.weight) + head.bias for head in (v.mean, v.log_std))
    return np.asarray(mean), np.asarray(log_std)


def test_what_v_descends(state, batch):
    key, v = jax.random.key(3), state.autoencoder
    loss, metrics = jax.jit(ALGORITHM.see_loss)(v, batch, key)
    noise = np.stack([jax.random.normal(k, (TIME, 2)) for k in jax.random.split(key, BATCH)], 1).reshape(-1, 2)
    losses, errors = [], []
    for index, (t, n) in enumerate(np.ndindex(TIME, BATCH)):
        picture = np.asarray(batch.obs[t, n])
        mean, log_std = encoded(v, picture)
        z = mean + np.exp(log_std) * noise[index]
        inside = np.maximum(z @ np.asarray(v.decoder[0].weight) + v.decoder[0].bias, 0)
        shown = sigmoid(inside @ np.asarray(v.decoder[1].weight) + v.decoder[1].bias).reshape(10, 10, 1)
        kl = sum((m**2 + np.exp(2 * s) - 1) / 2 - s for m, s in zip(mean, log_std))
        errors.append(((shown - picture / 255) ** 2).sum() / 2)
        losses.append(3 * errors[-1] + max(kl, 0.1 * 2))
    weight = np.asarray(batch.weight).ravel()
    np.testing.assert_allclose(loss, (losses * weight).sum() / weight.sum(), rtol=1e-5)
    np.testing.assert_allclose(metrics["picture_error"], (errors * weight).sum() / weight.sum(), rtol=1e-5)


def test_what_m_descends(state, batch):
    m, draw = state.memory, np.random.default_rng(1)
    z, next_z = (np.float32(draw.normal(size=(TIME, BATCH, 2))) for _ in range(2))
    loss, metrics = jax.jit(ALGORITHM.foresee_loss)(m, batch, z, next_z)
    cell, totals, count = m.recurrent.cell, np.zeros(3), 0.0
    for n in range(BATCH):
        h, c = np.zeros(3), np.zeros(3)
        for t in range(TIME):
            x = np.concatenate([z[t, n], np.eye(2)[batch.action[t, n]]])
            gates = np.asarray(cell.weight_ih) @ x + np.asarray(cell.weight_hh) @ h + np.asarray(cell.bias)
            i, f, g, o = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            logits, change, log_std = (h @ np.asarray(m.mixture.weight) + m.mixture.bias).reshape(3, 2, 2)
            log_prob = 0.0
            for d in range(2):
                parts = np.exp(logits[d]) / np.exp(logits[d]).sum()
                std = np.exp(log_std[d])
                far = (next_z[t, n, d] - z[t, n, d] - change[d]) / std
                log_prob += np.log((parts * np.exp(-(far**2) / 2) / (std * np.sqrt(2 * np.pi))).sum())
            end = float(sigmoid(h @ np.asarray(m.end.weight) + m.end.bias)[0])
            reward = float((h @ np.asarray(m.reward.weight) + m.reward.bias)[0])
            cross = -np.log(end) if batch.discount[t, n] == 0 else -np.log(1 - end)
            terms = np.array([log_prob, cross, (reward - float(batch.reward[t, n])) ** 2 / 2])
            totals, count = totals + float(batch.weight[t, n]) * terms, count + float(batch.weight[t, n])
            if batch.last[t, n]:  # the next step is another episode's first
                h, c = np.zeros(3), np.zeros(3)
    foresight, end_error, reward_error = totals / count
    np.testing.assert_allclose(metrics["foresight"], foresight, rtol=1e-4)
    np.testing.assert_allclose(metrics["end_error"], end_error, rtol=1e-4)
    np.testing.assert_allclose(metrics["reward_error"], reward_error, rtol=1e-4)
    np.testing.assert_allclose(loss, -foresight + end_error + reward_error, rtol=1e-4)


def test_the_controller_sees_z_and_h_and_moves_the_memory(state, batch):
    obs, w = batch.obs[0, 0], np.asarray(state.controller)
    memory = (jnp.array([0.3, -0.2, 0.9]), jnp.array([1.0, 0.0, -1.0]))
    decision = jax.jit(ALGORITHM.greedy)(state, obs, jax.random.key(0), memory)
    z = encoded(state.autoencoder, np.asarray(obs))[0]
    outputs = np.concatenate([z, memory[0]]) @ w[:-1] + w[-1]
    assert int(decision.action) == np.argmax(outputs)
    after = state.memory(memory, jnp.float32(z), decision.action)[0]
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), decision.memory, after)


def test_numbers_are_squashed_into_their_bounds():
    space = bm.Box((2,), (-1.0, 0.0), (3.0, 10.0))
    controller = jnp.array([[0.5, 0.0], [0.0, 50.0]])  # one feature, and the constant
    got = world_models.controlled(controller, jnp.array([2.0]), space)
    np.testing.assert_allclose(got, [-1 + (np.tanh(1.0) + 1) / 2 * 4, 10.0], rtol=1e-6)


def test_an_update_moves_v_and_m_and_not_c(state, batch):
    algorithm = ALGORITHM.replace(learning_rate=0.01)
    new, _ = jax.jit(algorithm.update)(state, batch, jax.random.key(5))
    for name, moves in (("autoencoder", True), ("memory", True), ("controller", False)):
        pairs = zip(jax.tree.leaves(getattr(state, name)), jax.tree.leaves(getattr(new, name)))
        assert any(not np.array_equal(x, y) for x, y in pairs) == moves, name
    assert float(new.steps) == 9


def test_who_shows_no_picture_is_told():
    with pytest.raises(ValueError, match="WorldModels sees pictures"):
        ALGORITHM.init(jax.random.key(0), bm.Spec(bm.Box((4,)), bm.Discrete(2)))
