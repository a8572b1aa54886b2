"""MuZero's update is equation 1 and appendix G (Schrittwieser et al., 2020), in NumPy and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("mctx")

import bellmax as bm
from bellmax.core import Spec
from bellmax.spaces import Box, Discrete
from tests.paper.by_hand import Adam, assert_same, begun, by_name, length_of, quickly, random_batch
from tests.paper.test_by_hand import differences

MOVES, SEEN, K, N, SIZE = 3, 2, 2, 3, 5
SPEC = Spec(Box((SEEN,)), Discrete(MOVES))
ZERO = bm.MuZero(
    experience=bm.Sequences(window=K + N, burn_in=0), gamma=0.9, unroll=K, n=N, simulations=4, reanalysed=0, atoms=5,
    limit=1.5, value_weight=0.3, learning_rate=0.02, weight_decay=0.03, max_grad_norm=0.5, hidden=(3,), latent=3,
    activation="tanh",
)  # fmt: skip


def replayed(seed):
    """Stretches [K + N, batch] of a game for two, with ends and time limits inside."""
    draw, shape = np.random.default_rng(seed), (K + N, SIZE)
    batch = jax.tree.map(lambda x: x[: K + N], random_batch(seed, Discrete(MOVES), K + N + 1, SIZE, SEEN))
    kinds = draw.choice(3, shape, p=[0.7, 0.15, 0.15])
    kinds[0, 0], kinds[1, 1], kinds[:, 2] = 1, 2, 0  # an end at once, a limit soon, and nothing at all
    found = draw.random((*shape, MOVES))
    extras = {"found": found / found.sum(-1, keepdims=True), "value": draw.normal(size=shape)}
    weight = np.broadcast_to(np.array([1.0, 0.5, 0.25, 0.0, 1.0]), shape)
    return batch._replace(
        discount=np.float32([-1, 0, -1])[kinds],
        last=kinds > 0,
        weight=np.float32(weight),
        extras=jax.tree.map(np.float32, extras) | {"steps": np.full(shape, np.float32(50))},
    )


def dense(params, name, x):
    return x @ params[f".{name}.weight"] + params[f".{name}.bias"]


def spread(x):
    return (x - x.min()) / (x.max() - x.min() + 1e-5)


def represent(params, obs):
    return spread(dense(params, "root", np.tanh(dense(params, "representation.mlp.layers[0]", obs))))


def step(params, latent, action):
    features = np.tanh(dense(params, "dynamics.layers[0]", np.concatenate([latent, np.eye(MOVES)[action]])))
    return spread(dense(params, "successor", features)), dense(params, "reward", features)


def predict(params, latent):
    features = np.tanh(dense(params, "prediction.layers[0]", latent))
    return dense(params, "policy", features), dense(params, "value", features)


def h(x):
    return np.sign(x) * (np.sqrt(abs(x) + 1) - 1) + 0.001 * x


def number(logits):
    """h^-1 of the mean over the atoms."""
    p = np.exp(logits) / np.exp(logits).sum()
    y = float(p @ np.linspace(-1.5, 1.5, 5))
    return np.sign(y) * (((np.sqrt(1 + 0.004 * (abs(y) + 1.001)) - 1) / 0.002) ** 2 - 1)


def two_hot(x):
    place = (min(max(h(x), -1.5), 1.5) + 1.5) / 0.75
    out, below = np.zeros(5), min(int(place), 3)
    out[below], out[below + 1] = below + 1 - place, place - below
    return out


def cross_entropy(target, logits):
    """Less the target's own entropy."""
    log_p = logits - np.log(np.exp(logits).sum())
    return sum(t * (np.log(t) - q) for t, q in zip(target, log_p) if t > 0)


def value_target(params, batch, i, k):
    """Walk n steps from step k; then the value that the search gave, or the network's where none was stored."""
    total, factor = 0.0, 1.0
    for j in range(k, k + N):
        total += factor * float(batch.reward[j, i])
        factor *= 0.9 * float(batch.discount[j, i])
        if batch.last[j, i] or j + 1 == len(batch.reward):
            return total + factor * number(predict(params, represent(params, np.float64(batch.next_obs[j, i])))[1])
    return total + factor * float(batch.extras["value"][k + N, i])


def asked(params, batch, i):
    """For every unrolled state: reward from there, value, policy; None where there is nothing to learn."""
    rows, alive = [], True
    for k in range(K + 1):
        if alive == "over":
            rows.append((0.0, 0.0, None))
            continue
        if alive == "unknown":
            rows.append((None, None, None))
            continue
        rows.append((float(batch.reward[k, i]), value_target(params, batch, i, k), batch.extras["found"][k, i]))
        if batch.last[k, i]:
            alive = "over" if batch.discount[k, i] == 0 else "unknown"
    return rows


def latents(params, batch, i, kept=None):
    """The states, each with the logits of the reward on the way to it.

    kept: the states where the gradient is taken. What goes into the dynamics moves half as far from them.
    """
    out, now = [], represent(params, np.float64(batch.obs[0, i]))
    out.append((now, None))
    for k in range(K):
        into = now if kept is None else kept[i][k][0] + 0.5 * (now - kept[i][k][0])
        now, reward = step(params, into, int(batch.action[k, i]))
        out.append((now, reward))
    return out


def terms(params, batch, targets, kept=None):
    names = ("reward_kl", "value_kl", "search_kl")
    sums, weight = dict.fromkeys(names, 0.0), np.float64(batch.weight[0])
    for i in range(SIZE):
        for k, (latent, reward) in enumerate(latents(params, batch, i, kept)):
            share = weight[i] / weight.sum() * (1.0 if k == 0 else 1 / K)
            policy, value = predict(params, latent)
            _, value_wanted, policy_wanted = targets[i][k]
            reward_wanted = targets[i][k - 1][0] if k else None
            if reward_wanted is not None:
                sums["reward_kl"] += share * cross_entropy(two_hot(reward_wanted), reward)
            if value_wanted is not None:
                sums["value_kl"] += share * cross_entropy(two_hot(value_wanted), value)
            if policy_wanted is not None:
                sums["search_kl"] += share * cross_entropy(np.float64(policy_wanted), policy)
    return sums


def loss(params, batch, targets, kept=None):
    found = terms(params, batch, targets, kept)
    decay = ZERO.weight_decay * sum((x**2).sum() for x in params.values())
    return found["reward_kl"] + 0.3 * found["value_kl"] + found["search_kl"] + decay


def test_updates_are_equation_1():
    state = begun(ZERO, SPEC, 1)
    target = jax.tree.map(lambda x: 0.7 * x, state.network)  # what stands behind an end, and is not learned
    state = state._replace(target=target)
    update, params, adam = quickly(ZERO.update), by_name(state.network), Adam(by_name(state.network))
    for seed in (2, 3):
        batch = replayed(seed)
        targets = [asked(by_name(target), batch, i) for i in range(SIZE)]
        kept = [latents(params, batch, i) for i in range(SIZE)]
        whole = differences(lambda p: loss(p, batch, targets), params)  # noqa: B023
        grads = differences(lambda p: loss(p, batch, targets, kept), params)  # noqa: B023
        means = terms(params, batch, targets)
        state, metrics = update(state, batch, jax.random.key(0))
        got = {name: np.asarray(x) for name, x in metrics.items()}
        assert_same({name: got[name] for name in means}, means)
        assert got["grad_norm"] == pytest.approx(length_of(grads), rel=1e-4)
        assert got["grad_norm"] != pytest.approx(length_of(whole), rel=1e-2), "the control: halved, or not"
        value = [number(predict(params, now[0][0])[1]) for now in kept]
        surprise = [abs(rows[0][1] - v) for rows, v in zip(targets, value)]
        np.testing.assert_allclose(got["priority"], surprise, rtol=1e-4, atol=1e-5)
        params = adam.step(params, grads, ZERO.learning_rate, ZERO.max_grad_norm)
        assert_same(by_name(state.network), params)


def test_what_is_reanalysed_is_found_anew():
    """Two stretches of five get values by the target network and the policy of a search with it, the others keep."""
    state = begun(ZERO, SPEC, 1)
    state = state._replace(target=jax.tree.map(lambda x: 0.7 * x, state.network), turn=jnp.float32(-1))
    batch, params = replayed(4), by_name(state.target)
    stored = quickly(ZERO.targets)(state, batch, jax.random.key(5))
    fresh = quickly(ZERO.replace(reanalysed=2).targets)(state, batch, jax.random.key(5))
    new = np.flatnonzero((np.asarray(fresh.policy) != np.asarray(stored.policy)).any((0, 2)))
    assert len(new) == 2
    np.testing.assert_array_equal(np.delete(fresh.value, new, 1), np.delete(stored.value, new, 1))
    np.testing.assert_allclose(fresh.policy.sum(-1), 1, rtol=1e-5)
    again = batch._replace(extras=batch.extras | {"value": values_seen(params, batch)})
    for i in new:  # as the walk above, with the network's value wherever the walk ends
        for k, (_, value, _) in enumerate(asked(params, again, i)):
            assert value is None or fresh.value[k, i] == pytest.approx(value, rel=1e-4, abs=1e-5)


def values_seen(params, batch):
    """What the network thinks behind every step, stored where the search's value of the next would be."""
    out = np.zeros((K + N, SIZE))
    for k in range(K + N - 1):
        for i in range(SIZE):
            out[k + 1, i] = number(predict(params, represent(params, np.float64(batch.next_obs[k, i])))[1])
    return out


def test_a_window_that_is_too_short_is_refused():
    short = ZERO.replace(experience=bm.Sequences(window=K + N - 1, burn_in=0))
    with pytest.raises(ValueError, match=r"window = 4 and burn_in = 0, but unroll \+ n = 5 .* give it window = 5"):
        short.init(jax.random.key(0), SPEC)


def test_signs_alternate_once_a_turn_was_seen():
    """One step of search by hand: Q of a move is its reward + gamma turn v, whatever the network thinks of it."""
    state = begun(ZERO, SPEC, 1)
    batch = replayed(6)
    seen = jax.jit(ZERO.observe)(state, batch)
    assert (float(state.turn), float(seen.turn)) == (0.0, -1.0)
    assert float(ZERO.observe(seen, batch._replace(discount=np.ones_like(batch.discount))).turn) == -1, (
        "never forgotten"
    )
    params, obs, think = by_name(state.network), np.float32([0.3, -0.8]), quickly(ZERO.replace(simulations=3).think)
    for turn in (1.0, -1.0):
        tree = think(state.network, jnp.float32(turn), obs, jax.random.key(0)).search_tree
        tried = np.flatnonzero(np.asarray(tree.children_visits[0, 0]) == 1)
        assert len(tried) >= 2
        for move in tried:
            latent, reward = step(params, represent(params, obs), move)
            q = number(reward) + 0.9 * turn * number(predict(params, latent)[1])
            found = (
                tree.children_rewards[0, 0, move]
                + tree.children_discounts[0, 0, move] * tree.children_values[0, 0, move]
            )
            assert found == pytest.approx(q, rel=1e-4, abs=1e-5)
