"""DreamerV3's losses are equations 3 to 11 (Hafner et al., 2023), by loops in NumPy and float64.

Chance is the library's: the latent states and actions that it drew are looked up, and everything else is computed again
from the weights: what the cell remembers, both distributions, every head, every return and every loss.
"""

from typing import NamedTuple

import jax
import numpy as np
import pytest

from bellmax import Box, Discrete, DreamerV3, Sequences, Spec
from bellmax.models import rssm
from tests.paper.by_hand import by_name, quickly, random_batch

SIZE = rssm.Size(5, 4, 1, 2, 3)
BATCH, WINDOW, HORIZON, COUNT = 4, 7, 4, 255
SETTINGS = {"size": "tiny", "imagination": HORIZON, "gamma": 0.9, "unimix": 0.05, "entropy_weight": 0.2}
SETTINGS |= {"free_nats": 0.2, "experience": Sequences(window=WINDOW, batch=BATCH, burn_in=0), "slow_weight": 0.7}
HALF = -np.expm1(np.linspace(20, 0, COUNT // 2 + 1))
BINS = np.concatenate([HALF, -HALF[:-1][::-1]])


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def symlog(x):
    return np.sign(x) * np.log1p(abs(x))


class Net:
    """The network from its arrays, one input at a time."""

    def __init__(self, network, unimix):
        self.p, self.unimix = by_name(network), unimix

    def dense(self, name, x):
        return x @ self.p[f"{name}.weight"] + self.p[f"{name}.bias"]

    def normed(self, name, x):
        y = self.dense(f"{name}.dense", x)
        y = (y - y.mean()) / np.sqrt(((y - y.mean()) ** 2).mean() + 1e-6)
        return y * self.p[f"{name}.norm.scale"] + self.p[f"{name}.norm.offset"]

    def mlp(self, name, x):
        y = self.normed(f"{name}.layers[0]", x)
        return y * sigmoid(y)

    def mixed(self, logits):
        return (1 - self.unimix) * softmax(logits) + self.unimix / len(logits)

    def choices(self, name, x):
        logits = self.dense(f".world.rssm.{name}_head", self.mlp(f".world.rssm.{name}_mlp", x))
        return np.array([self.mixed(row) for row in logits.reshape(SIZE.groups, SIZE.classes)])

    def advance(self, h, z, action):
        x = self.mlp(".world.rssm.entry", np.concatenate([z.ravel(), action]))
        gates = self.normed(".world.rssm.cell", np.concatenate([h, x]))
        reset, candidate, update = np.split(gates, 3)
        candidate, update = np.tanh(sigmoid(reset) * candidate), sigmoid(update - 1)
        return update * candidate + (1 - update) * h

    def number(self, name, features):
        return softmax(self.dense(f"{name}.head", self.mlp(f"{name}.mlp", features)))

    def going_on(self, features):
        return sigmoid(self.dense(".world.continues_head", self.mlp(".world.continues", features))[0])

    def policy(self, features):
        return self.mixed(self.dense(".actor.head.dense", self.mlp(".actor.mlp", features)))


def cross_entropy(probabilities, number):
    """The number shared between the two bins around it."""
    k = min(max(int(np.searchsorted(BINS, number, side="right")), 1), COUNT - 1)
    share = (number - BINS[k - 1]) / (BINS[k] - BINS[k - 1])
    return -(share * np.log(probabilities[k]) + (1 - share) * np.log(probabilities[k - 1]))


class Sight(NamedTuple):
    obs: np.ndarray
    action: np.ndarray
    reward: float | None
    going_on: float
    begins: bool
    ends: bool


def sights(batch, n):
    """What an agent would have noted down, sight by sight, as many as fit."""
    rows = [Sight(batch.obs[0, n], np.array(batch.extras["memory"].action[0, n], float), None, 1, False, False)]
    for t in range(WINDOW):
        action = np.eye(2)[batch.action[t, n]]
        end = bool(batch.last[t, n])
        rows.append(Sight(batch.next_obs[t, n], action, batch.reward[t, n], batch.discount[t, n], False, end))
        if end and t + 1 < WINDOW:
            rows.append(Sight(batch.obs[t + 1, n], np.zeros(2), None, 1, True, False))
    return rows[: WINDOW + 1]


def kl(p, q):
    return (p * np.log(p / q)).sum()


def slow_world(net, batch, drawn, free):
    """Sums of the parts of equations 4 and 5, and the features of every row [batch][row]."""
    totals, features = np.zeros(4), []
    for n in range(BATCH):
        memory = jax.tree.map(lambda x, n=n: np.asarray(x[0, n]), batch.extras["memory"])
        h, z = np.float64(memory.deterministic), np.eye(SIZE.classes)[memory.choices]
        features.append([])
        for i, row in enumerate(sights(batch, n)):
            h, z = (np.zeros_like(h), np.zeros_like(z)) if row.begins else (h, z)
            h = net.advance(h, z, row.action)
            embedding = net.mlp(".world.torso.mlp", symlog(row.obs))
            q, p = net.choices("posterior", np.concatenate([h, embedding])), net.choices("prior", h)
            z = drawn[n, i]
            f = np.concatenate([h, z.ravel()])
            seen = net.dense(".world.decoder.numbers[0]", net.mlp(".world.decoder.trunk", f))
            on = net.going_on(f)
            totals += [
                ((seen - symlog(row.obs)) ** 2).sum(),
                0 if row.reward is None else cross_entropy(net.number(".world.reward", f), row.reward),
                -np.log(on if row.going_on else 1 - on),
                max(free, sum(kl(q[g], p[g]) for g in range(SIZE.groups))),
            ]
            features[-1].append(f)
    return totals / (BATCH * (WINDOW + 1)), features


def slow_returns(reward, discount, value, boot, lam):
    """G_t = R + discount ((1 - lambda) V' + lambda G'), the last of them R + discount V'."""
    returns, behind = [], boot
    for r, d, v in zip(reversed(reward), reversed(discount), reversed(value)):
        behind = r + d * ((1 - lam) * v + lam * behind)
        returns.insert(0, behind)
    return returns


def slow_behaviour(net, slow, dreamer, state, batch, features, dreamed):
    """Actor's and critic's losses, and the return of every row: one dream after the other."""
    returns, kept, rows = [], [], [(n, i, row) for n in range(BATCH) for i, row in enumerate(sights(batch, n))]
    for m, (n, i, row) in enumerate(rows):
        f, path = features[n][i], []
        h = f[: SIZE.deterministic]
        z = f[SIZE.deterministic :].reshape(SIZE.groups, SIZE.classes)
        for t in range(HORIZON):
            action = int(dreamed.action[t, m])
            h = net.advance(h, z, np.eye(2)[action])
            z = np.asarray(dreamed.next_obs[t, m][SIZE.deterministic :], float).reshape(z.shape).round()
            after = np.concatenate([h, z.ravel()])
            path.append((f, action, net.number(".world.reward", after) @ BINS, 0.9 * net.going_on(after), after))
            f = after
        value = [net.number(".critic", after) @ BINS for *_, after in path]
        g = slow_returns([p[2] for p in path], [p[3] for p in path], value, value[-1], dreamer.lambda_)
        returns.append(g)
        kept.append((float(row.going_on), path))
    alive = np.array([g for g, (start, _) in zip(returns, kept) if start])
    low, high = (old + 0.01 * (np.quantile(alive, q) - old) for old, q in ((state.low, 0.05), (state.high, 0.95)))
    actor = critic = 0.0
    for g, (fade, path) in zip(returns, kept):
        for t, (f, action, _, discount, _) in enumerate(path):
            pi, v = net.policy(f), net.number(".critic", f)
            entropy = -(pi * np.log(pi)).sum()
            actor -= fade * (np.log(pi[action]) * (g[t] - v @ BINS) / max(1, high - low) + 0.2 * entropy)
            critic += fade * critic_error(v, g[t], slow, f)
            fade *= discount
    count = len(rows) * HORIZON
    return actor / count, critic / count, np.array([g[0] for g in returns]).reshape(BATCH, -1), low, high


def critic_error(v, target, slow, f):
    return cross_entropy(v, target) + 0.7 * cross_entropy(v, slow.number("", f) @ BINS)


def slow_replayed(net, slow, dreamer, batch, features, behind):
    """Lambda-returns of what happened, each followed to its episode's or the stretch's end."""
    losses = []
    for n in range(BATCH):
        rows = sights(batch, n)
        for i in range(WINDOW):
            if rows[i].ends:
                continue
            stop = next((k for k in range(i + 1, WINDOW) if rows[k].ends), WINDOW)
            steps = rows[i + 1 : stop + 1]
            boots = list(behind[n, i + 1 : stop + 1])
            rewards, discounts = [row.reward for row in steps], [0.9 * row.going_on for row in steps]
            g = slow_returns(rewards, discounts, boots, boots[-1], dreamer.lambda_)[0]
            f = features[n][i]
            losses.append(critic_error(net.number(".critic", f), g, slow, f))
    return np.mean(losses)


def a_state(dreamer, spec, seed):
    """Random weights everywhere, but for what they divide by."""
    draw = np.random.default_rng(seed)
    state = jax.jit(lambda key: dreamer.init(key, spec))(jax.random.key(0))
    network, slow = jax.tree.map(lambda x: np.float32(x + 0.4 * draw.normal(size=x.shape)), (state.network, state.slow))
    return state._replace(network=network, slow=slow, low=np.float32(-30), high=np.float32(50))


def a_batch(dreamer, state, seed):
    """Made-up stretches with ends in them, and made-up memories before them."""
    draw = np.random.default_rng(seed)
    batch = random_batch(seed, Discrete(2), length=WINDOW, num_envs=BATCH)
    memory = jax.tree.map(
        lambda x: np.float32(draw.normal(size=(WINDOW, BATCH, *x.shape))), state.network.world.begin()
    )
    memory = memory._replace(choices=draw.integers(0, SIZE.classes, (WINDOW, BATCH, SIZE.groups)).astype(np.int32))
    follows = ~batch.last[:-1]
    next_obs = batch.next_obs.copy()
    next_obs[:-1][follows] = batch.obs[1:][follows]
    extras = {"memory": memory, "steps": np.full(batch.reward.shape, 7.0)}
    return batch._replace(next_obs=next_obs, extras=extras, weight=np.ones_like(batch.weight))


@pytest.fixture(scope="module")
def both():
    """The library's losses and those of the loops, for one batch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rssm.SIZES, "tiny", SIZE)
        yield compared()


def compared():
    dreamer = DreamerV3(**SETTINGS)
    state = a_state(dreamer, Spec(Box((3,)), Discrete(2), 1), 1)
    batch = jax.tree.map(lambda x: np.float32(x) if x.dtype == np.float64 else x, a_batch(dreamer, state, 2))
    read_key, dream_key = jax.random.split(jax.random.key(4))

    @quickly
    def drawn(network):
        rows, memory = dreamer.rows(network.world, batch)
        latents, _ = jax.vmap(network.world.read, (0, 0, 0, None))(
            rows, memory, jax.random.split(read_key, BATCH), dreamer.unimix
        )
        return latents, dreamer.dream(network, latents, dream_key)

    latents, dreamed = drawn(state.network)
    loss = quickly(lambda: dreamer.loss(state.network, state, batch, jax.random.key(4)))
    total, (metrics, low, high) = loss()
    net, slow = Net(state.network, dreamer.unimix), Net(state.slow, dreamer.unimix)
    world, features = slow_world(net, batch, np.asarray(latents.stochastic, float).round(), dreamer.free_nats)
    expected = dict(zip(("reconstruction", "reward_loss", "continuation_loss", "dynamics_kl"), world))
    actor, critic, behind, *bounds = slow_behaviour(net, slow, dreamer, state, batch, features, dreamed)
    replayed = slow_replayed(net, slow, dreamer, batch, features, behind)
    expected |= {"actor_loss": actor, "critic_loss": critic, "critic_replay_loss": replayed}
    return batch, metrics | {"total": total, "low": low, "high": high}, expected, bounds


NAMES = ["reconstruction", "reward_loss", "continuation_loss", "dynamics_kl", "actor_loss", "critic_loss"]


@pytest.mark.parametrize("name", [*NAMES, "critic_replay_loss"])
def test_every_loss_is_that_of_the_loops(both, name):
    assert float(both[1][name]) == pytest.approx(both[2][name], rel=2e-3)


def test_the_range_of_returns_follows_by_a_hundredth(both):
    assert [float(both[1][name]) for name in ("low", "high")] == pytest.approx(both[3], rel=2e-3)
    assert float(both[1]["return_range"]) == pytest.approx(both[3][1] - both[3][0], rel=2e-3)


def test_they_are_added_with_the_weights_of_the_paper(both):
    """1 for all, but 0.1 for the representation, whose size is the dynamics', and 0.3 for the replayed steps."""
    part = both[2]
    whole = sum(part[name] for name in NAMES) + 0.1 * part["dynamics_kl"] + 0.3 * part["critic_replay_loss"]
    assert float(both[1]["total"]) == pytest.approx(whole, rel=2e-3)


def test_the_batch_has_ends_in_the_middle_and_distances_on_both_sides_of_the_free_nats(both):
    assert both[0].last[:-1].any()
    assert both[2]["dynamics_kl"] > 0.2
