"""PQN's update is its pseudo-code (Gallici et al., 2025, algorithm 1), played by loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Discrete, Linear, Steps
from bellmax.algorithms.value.pqn import PQN
from bellmax.maths.batches import shuffled_minibatches
from bellmax.spaces import Masked
from tests.paper.by_hand import assert_same, by_name, length_of, quickly, random_batch, scheduled, shortened, zeros
from tests.paper.test_by_hand import differences
from tests.paper.value_by_hand import ACTIONS, best_legal, dense, mean, spec_of

SETTINGS = {"experience": Steps(7), "hidden": (4,), "epochs": 2, "minibatches": 2, "gamma": 0.9, "q_lambda": 0.65}
SETTINGS |= {"learning_rate": 0.02, "max_grad_norm": 0.5}
CASES = {
    "plain": (PQN(**SETTINGS), False),
    "masked, one step, falling rate": (
        PQN(**SETTINGS | {"q_lambda": 0.0, "learning_rate": Linear(0.1, 0.0, 120.0)}),
        True,
    ),
    "sampled returns, two layers": (PQN(**SETTINGS | {"q_lambda": 1.0, "hidden": (4, 3), "minibatches": 1}), False),
}


class RAdam:
    """Liu et al., 2020, algorithm 2; as in its authors' code the variance is used once rho_t is at least 5."""

    def __init__(self, params):
        self.m, self.v, self.t = zeros(params), zeros(params), 0

    def step(self, params, grads, rate, longest):
        self.t += 1
        rho_inf = 2 / (1 - 0.999) - 1
        rho = rho_inf - 2 * self.t * 0.999**self.t / (1 - 0.999**self.t)
        new = {}
        for name, g in shortened(grads, longest).items():
            self.m[name] = 0.9 * self.m[name] + 0.1 * g
            self.v[name] = 0.999 * self.v[name] + 0.001 * g**2
            m_hat = self.m[name] / (1 - 0.9**self.t)
            if rho >= 5:
                r = np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
                m_hat = r * m_hat / (np.sqrt(self.v[name] / (1 - 0.999**self.t)) + 1e-8)
            new[name] = params[name] - rate * m_hat
        return new


def q_values(params, x):
    """relu(layer norm(h W + b)) layer by layer, then a linear head: x [batch, obs] -> [batch, actions]."""
    k = 0
    while f".torso.mlp.layers[{k}].dense.weight" in params:
        layer = f".torso.mlp.layers[{k}]"
        x = dense(params, f"{layer}.dense", x)
        middle = x.mean(1, keepdims=True)
        x = (x - middle) / np.sqrt(((x - middle) ** 2).mean(1, keepdims=True) + 1e-6)
        x = np.maximum(params[f"{layer}.norm.scale"] * x + params[f"{layer}.norm.offset"], 0)
        k += 1
    return dense(params, ".advantage", x)


def plain(obs):
    return obs.obs if isinstance(obs, Masked) else obs


def next_values(params, batch):
    """max_a Q(s', a) over the legal actions, 0 where there are none: [time, env]."""
    value = np.zeros(batch.reward.shape)
    for t, n in np.ndindex(*value.shape):
        q = q_values(params, plain(batch.next_obs)[t, n][None])[0]
        legal = batch.next_obs.legal[t, n] if isinstance(batch.next_obs, Masked) else np.ones(ACTIONS, bool)
        action = best_legal(q, legal)
        value[t, n] = 0.0 if action is None else q[action]
    return value


def lambda_returns(pqn, batch, next_value):
    """A mixture of all n-step returns: (1 - lambda) lambda^(n - 1) each, the rest on the longest there is."""
    target = np.zeros(batch.reward.shape)
    length = len(target)
    for t, n in np.ndindex(*target.shape):
        rewards, discount, share = 0.0, 1.0, 1.0
        for k in range(t, length):
            rewards += discount * batch.reward[k, n]
            discount *= pqn.gamma * batch.discount[k, n]
            longest = batch.last[k, n] or k == length - 1
            target[t, n] += share * (1.0 if longest else 1 - pqn.q_lambda) * (rewards + discount * next_value[k, n])
            share *= pqn.q_lambda
            if longest:
                break
    return target


def slow_update(pqn, params, radam, batch, key, steps):
    target, weight = lambda_returns(pqn, batch, next_values(params, batch)).reshape(-1), batch.weight.reshape(-1)
    obs, action, log = plain(batch.obs).reshape(len(target), -1), batch.action.reshape(-1), []
    for epoch_key in jax.random.split(key, pqn.epochs):
        for rows in np.asarray(shuffled_minibatches(epoch_key, jnp.arange(len(target)), pqn.minibatches)):
            taken = lambda p: q_values(p, obs[rows])[np.arange(len(rows)), action[rows]]  # noqa: B023
            loss = lambda p: mean((taken(p) - target[rows]) ** 2 / 2, weight[rows])  # noqa: B023
            value, grads = taken(params), differences(loss, params)
            off = np.abs(target[rows] - value)
            log.append({"loss": loss(params), "td_error": mean(off, weight[rows]), "value": mean(value, weight[rows])})
            log[-1]["grad_norm"] = length_of(grads)
            params = radam.step(params, grads, scheduled(pqn.learning_rate, steps), pqn.max_grad_norm)
    return params, {name: np.reshape([row[name] for row in log], (pqn.epochs, pqn.minibatches)) for name in log[0]}


def collected(seed, masked):
    batch, draw = random_batch(seed, Discrete(ACTIONS)), np.random.default_rng(seed)
    if not masked:
        return batch
    legal = draw.random((2, *batch.reward.shape, ACTIONS)) > 0.4
    legal[1, 3] = False
    return batch._replace(obs=Masked(batch.obs, legal[0]), next_obs=Masked(batch.next_obs, legal[1]))


def begun(pqn, masked):
    shapes, draw = (
        jax.eval_shape(lambda key: pqn.init(key, spec_of(masked)), jax.random.key(0)),
        np.random.default_rng(1),
    )
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    network = jax.tree.map(lambda x: np.float32(draw.normal(size=x.shape)), state.network)
    return state._replace(network=network, steps=np.float32(50))


def assert_updates(pqn, masked, slow=slow_update):
    state, steps = begun(pqn, masked), 50.0
    update, params = quickly(pqn.update), by_name(state.network)
    radam = RAdam(params)
    for seed in (2, 3):
        batch, key = collected(seed, masked), jax.random.key(seed)
        state, metrics = update(state, batch, key)
        params, expected = slow(pqn, params, radam, batch, key, steps)
        steps += batch.weight.sum()
        assert float(state.steps) == steps
        assert_same({name: np.asarray(x) for name, x in metrics.items()}, expected, relative=3e-4, absolute=3e-5)
        assert_same(by_name(state.network), params, relative=3e-4, absolute=3e-5)
        assert_same(by_name(state.opt_state[1].mu), radam.m, absolute=3e-6)
        assert_same(by_name(state.opt_state[1].nu), radam.v, absolute=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_two_updates_are_those_of_the_pseudo_code(name):
    assert_updates(*CASES[name])


def test_lambda_is_told_apart():
    """The control: another lambda does not pass."""
    other = lambda pqn, *rest: slow_update(pqn.replace(q_lambda=0.5), *rest)
    with pytest.raises(AssertionError):
        assert_updates(PQN(**SETTINGS), False, other)


def test_there_is_no_target_network_and_no_replay():
    pqn = PQN(**SETTINGS)
    assert set(begun(pqn, masked=False)._fields) == {"network", "opt_state", "steps"}
    assert not pqn.experience.replays
