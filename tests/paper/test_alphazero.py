"""AlphaZero's update is equation 1 (Silver et al., 2018) on outcomes that change sides, in NumPy and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("mctx")

import bellmax as bm
from bellmax.core import Spec
from bellmax.envs.probes import Forbidden
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, Simulated
from tests.paper.by_hand import Adam, assert_same, begun, by_name, length_of, quickly, random_batch
from tests.paper.test_by_hand import differences

MOVES, SEEN = 3, 2
SPEC = Spec(Simulated(Masked(Box((SEEN,)), MultiBinary(MOVES)), Box(())), Discrete(MOVES))
SETTINGS = {"hidden": (3,), "learning_rate": 0.02, "max_grad_norm": 0.5, "weight_decay": 0.03, "activation": "tanh"}


def replayed(seed, n, size=6):
    """Windows [n, batch] of a game for two: the discount is -1, and 0 at the end of a game, which may be inside."""
    draw = np.random.default_rng(seed)
    batch = jax.tree.map(lambda x: x[:n], random_batch(seed, Discrete(MOVES), n + 2, size, SEEN))
    legal = draw.random((2, n, size, MOVES)) > 0.4
    legal[..., 0] = True
    found = np.where(legal[0], draw.random((n, size, MOVES)), 0.0)
    last = draw.random((n, size)) < 0.3
    return batch._replace(
        obs=Simulated(Masked(batch.obs, legal[0]), np.zeros((n, size))),
        next_obs=Simulated(Masked(batch.next_obs, legal[1]), np.zeros((n, size))),
        reward=np.where(last, draw.integers(-1, 2, (n, size)), 0).astype(np.float32),
        discount=np.where(last, 0.0, -1.0).astype(np.float32),
        last=last,
        extras={"found": np.float32(found / found.sum(-1, keepdims=True)), "steps": np.full((n, size), 50.0)},
    )


def predicted(params, seen, legal):
    """p and v of one position: one torso, a softmax over the legal moves, tanh."""
    h = np.tanh(seen @ params[".torsos[0].mlp.layers[0].weight"] + params[".torsos[0].mlp.layers[0].bias"])
    logits = h @ params[".head.dense.weight"] + params[".head.dense.bias"]
    p = np.where(legal, np.exp(logits), 0.0)
    return p / p.sum(), np.tanh(h @ params[".value_head.weight"] + params[".value_head.bias"])[0]


def outcome(params, batch, i, gamma):
    """z: walk along the window, changing sides with every move, until the game is over or the window is."""
    total, side = 0.0, 1.0
    for k in range(len(batch.reward)):
        total += side * float(batch.reward[k, i])
        side *= gamma * float(batch.discount[k, i])
        if batch.last[k, i]:
            break
    return total + side * predicted(params, batch.next_obs.obs.obs[k, i], batch.next_obs.obs.legal[k, i])[1]


def terms(params, batch, z):
    """(z - v)^2 / 2, KL(pi || p) and the entropy of p, [batch] each."""
    rows = {"value_error": [], "search_kl": [], "entropy": []}
    for i in range(batch.reward.shape[1]):
        p, v = predicted(params, batch.obs.obs.obs[0, i], batch.obs.obs.legal[0, i])
        pi = np.float64(batch.extras["found"][0, i])
        rows["value_error"].append((z[i] - v) ** 2 / 2)
        rows["search_kl"].append(sum(a * np.log(a / b) for a, b in zip(pi, p) if a > 0))
        rows["entropy"].append(-sum(b * np.log(b) for b in p if b > 0))
    weight = batch.weight[0]
    return {name: sum(w * x for w, x in zip(weight, row)) / weight.sum() for name, row in rows.items()}


def loss(params, batch, z, decay):
    found = terms(params, batch, z)
    return found["value_error"] + found["search_kl"] + decay * sum((x**2).sum() for x in params.values())


@pytest.mark.parametrize(("n", "gamma"), [(1, 1.0), (4, 0.9)])
def test_updates_are_equation_1(n, gamma):
    zero = bm.AlphaZero(rules=Forbidden(), gamma=gamma, **SETTINGS)
    state = begun(zero, SPEC, 1)
    update, params = quickly(zero.update), by_name(state.network)
    adam = Adam(params)
    for seed in (2, 3):
        batch = replayed(seed, n)
        z = [outcome(params, batch, i, gamma) for i in range(batch.reward.shape[1])]
        grads = differences(lambda p: loss(p, batch, z, zero.weight_decay), params)  # noqa: B023
        expected = terms(params, batch, z) | {"grad_norm": length_of(grads)}
        params = adam.step(params, grads, zero.learning_rate, zero.max_grad_norm)
        state, metrics = update(state, batch, jax.random.key(0))
        assert_same({name: np.asarray(x) for name, x in metrics.items()}, expected)
        assert_same(by_name(state.network), params)


def test_outcomes_by_hand():
    """X moves, O moves, X wins: z is 1 for X's positions, -1 for O's; where the window ends before, v takes over."""
    batch = replayed(0, 3, 2)
    batch = batch._replace(
        reward=np.float32([[0, 0], [0, 0], [1, 0]]),
        discount=np.float32([[-1, -1], [-1, -1], [0, -1]]),
        last=np.array([[False, False], [False, False], [True, False]]),
    )
    zero = bm.AlphaZero(rules=Forbidden(), **SETTINGS)
    state = begun(zero, SPEC, 1)
    v = predicted(by_name(state.network), batch.next_obs.obs.obs[2, 1], batch.next_obs.obs.legal[2, 1])[1]
    folded = bm.experience.fold(batch, 1.0)
    value = jax.vmap(zero.predict, (None, 0))(state.network, folded.next_obs.obs)[1]
    np.testing.assert_allclose(folded.reward + folded.discount * value, [1.0, -v], rtol=1e-5)
    from_o = bm.experience.fold(jax.tree.map(lambda x: x[1:], batch), 1.0)
    np.testing.assert_allclose((from_o.reward + from_o.discount * value)[0], -1.0)


def test_an_illegal_move_is_never_made_nor_learned():
    """With a network that loves the illegal move and sees every position as lost."""
    env = bm.WithSimulator(Forbidden())
    for search in ("puct", "gumbel"):
        zero = bm.AlphaZero(rules=Forbidden(), search=search, simulations=8, **SETTINGS)
        state = zero.init(jax.random.key(0), env.spec)
        _, obs = env.reset(jax.random.key(1))
        illegal = np.flatnonzero(~np.asarray(obs.obs.legal))
        bias = state.network.head.dense.bias.at[illegal].set(50.0)
        network = state.network
        leaves, tree = jax.tree.flatten(network)
        network = tree.unflatten([bias if x is network.head.dense.bias else x for x in leaves])
        keys = jax.random.split(jax.random.key(2), 64)
        act = jax.jit(lambda key: zero.act(state._replace(network=network), obs, key, None))  # noqa: B023
        decision = jax.vmap(act)(keys)
        assert not np.isin(decision.action, illegal).any()
        assert (np.asarray(decision.extras["found"])[:, illegal] == 0).all()
        np.testing.assert_allclose(decision.extras["found"].sum(-1), 1, rtol=1e-5)
        assert jnp.all(decision.memory == 1)
