"""What the papers' pseudo-code of the deep Q family is made of, in NumPy and float64.

The loss is written out, and its gradient is central differences. Random numbers that an update draws are data here:
they are taken from the same key.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bellmax import Box, Discrete, Spec
from bellmax.networks.noisy import NoisyDense, drawn
from bellmax.spaces import Masked, MultiBinary
from tests.paper.by_hand import Adam, assert_same, by_name, length_of, quickly, random_batch, scheduled
from tests.paper.test_by_hand import differences

ACTIONS, OBS = 3, 3
STEPS = 50.0  # environment steps before the first update


class Rows(NamedTuple):
    """Windows of n steps, each seen as one: a row a window."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray  # of n steps, discounted; fewer where the episode ended
    discount: np.ndarray  # gamma^n, or what is left of it; 0 behind a termination
    next_obs: np.ndarray
    legal: np.ndarray
    next_legal: np.ndarray
    weight: np.ndarray


def folded(batch, gamma):
    """Walk along each window until it or the episode ends."""
    plain = lambda obs: np.asarray(obs.obs if isinstance(obs, Masked) else obs)
    n, size = batch.reward.shape
    reward, discount, next_obs = np.zeros(size), np.ones(size), np.zeros((size, OBS))
    legal, next_legal = np.ones((2, size, ACTIONS), bool)
    for i in range(size):
        for k in range(n):
            reward[i] += discount[i] * batch.reward[k, i]
            discount[i] *= gamma * batch.discount[k, i]
            next_obs[i] = plain(batch.next_obs)[k, i]
            if isinstance(batch.next_obs, Masked):
                legal[i], next_legal[i] = batch.obs.legal[0, i], batch.next_obs.legal[k, i]
            if batch.last[k, i]:
                break
    return Rows(plain(batch.obs)[0], batch.action[0], reward, discount, next_obs, legal, next_legal, batch.weight[0])


def replayed(seed, n, masked=False, size=14):
    """Windows [n, batch] as they come out of a replay: random weights, episodes that end inside, steps so far."""
    batch, draw = random_batch(seed, Discrete(ACTIONS), n + 3, size, OBS), np.random.default_rng(seed + 100)
    batch = jax.tree.map(lambda x: x[:n], batch)
    weight = np.float64(np.float32(draw.random((1, size)) * (draw.random((1, size)) > 0.2)))
    batch = batch._replace(
        weight=np.broadcast_to(weight, (n, size)), extras={"steps": np.full((n, size), STEPS + seed)}
    )
    if n > 1:
        assert batch.last[:-1].any(), "an episode ends inside a window"
    if masked:
        legal = draw.random((2, n, size, ACTIONS)) > 0.4
        legal[1, :, 0] = False  # nothing is legal behind the first
        assert weight[0, 0] > 0
        batch = batch._replace(obs=Masked(batch.obs, legal[0]), next_obs=Masked(batch.next_obs, legal[1]))
    return batch


def spec_of(masked):
    return Spec(Masked(Box((OBS,)), MultiBinary(ACTIONS)) if masked else Box((OBS,)), Discrete(ACTIONS))


# --- networks ---------------------------------------------------------------------------------------------------------


def features(params, x):
    """h <- relu(h W + b), layer by layer: x [batch, obs]."""
    k = 0
    while f".torso.mlp.layers[{k}].weight" in params:
        x = np.maximum(dense(params, f".torso.mlp.layers[{k}]", x), 0)
        k += 1
    return x


def dense(params, name, x):
    return x @ params[f"{name}.weight"] + params[f"{name}.bias"]


def outputs(params, x, each=1):
    """[batch, actions, each]: A, or V + A - the mean of A over the actions."""
    h = features(params, x)
    advantage = dense(params, ".advantage", h).reshape(len(x), ACTIONS, each)
    if ".value.weight" not in params:
        return advantage
    mean = sum(advantage[:, a] for a in range(ACTIONS)) / ACTIONS
    return dense(params, ".value", h)[:, None] + advantage - mean[:, None]


def softmax(x):
    p = np.exp(x - x.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def best_legal(q, legal):
    """The best legal action, or None."""
    allowed = [a for a in range(len(q)) if legal[a]]
    return max(allowed, key=lambda a: q[a]) if allowed else None


# --- noise in the weights ---------------------------------------------------------------------------------------------


DRAWN = jax.jit(drawn)


def noise_of(network, key):
    """eps of every weight of the dense layers that are drawn with this key: of a layer with mean 0 and deviation 1."""
    is_noisy = lambda part: isinstance(part, NoisyDense)

    def bare(part):
        if not is_noisy(part):
            return part
        leaves, tree = jax.tree_util.tree_flatten_with_path(part)
        is_deviation = ["deviation" in jax.tree_util.keystr(path) for path, _ in leaves]
        return tree.unflatten(np.full(x.shape, yes, np.float32) for yes, (_, x) in zip(is_deviation, leaves))

    return by_name(DRAWN(jax.tree.map(bare, network, is_leaf=is_noisy), key))


def with_noise(params, noise):
    """mu + sigma eps, weight by weight."""
    plain = {}
    for name, eps in noise.items():
        layer, kind = name.rsplit(".", 1)
        plain[name] = params[f"{layer}.mean.{kind}"] + params[f"{layer}.deviation.{kind}"] * eps
    return plain


def taken(choose, state, obs, keys):
    """The actions that `choose` (`act` or `greedy`) takes, one a key."""
    return np.asarray(jax.jit(jax.vmap(lambda key: choose(state, obs, key).action))(keys))


# --- updates ----------------------------------------------------------------------------------------------------------


def begun(algorithm, spec):
    """A state whose network and target have random parameters, not the same."""
    draw, shapes = np.random.default_rng(1), jax.eval_shape(lambda key: algorithm.init(key, spec), jax.random.key(0))
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    random = lambda network: jax.tree.map(lambda x: np.float32(0.5 * draw.normal(size=x.shape)), network)
    return state._replace(network=random(state.network), target=random(state.target), steps=jnp.float32(STEPS))


def mean(x, weight):
    """Over the rows that count, as much as they count."""
    return sum(w * x_i for x_i, w in zip(x, weight)) / sum(weight)


def assert_updates(algorithm, n, targets, terms, draws: Any = lambda algorithm, network, size, key: None, masked=False):
    """Four updates of the library are those of the loops.

    draws(algorithm, network, batch size, key) -> what the update draws, as it likes
    targets(algorithm, params, target_params, rows, drawn) -> what is learned towards, a row each
    terms(algorithm, params, rows, targets, drawn) -> the metrics: loss, td_error, value, ... [batch] each
    """
    state = begun(algorithm, spec_of(masked))
    update, params, target_params = quickly(algorithm.update), by_name(state.network), by_name(state.target)
    adam, steps = Adam(params), STEPS
    for count, seed in enumerate((2, 3, 5, 6), 1):
        batch, key = replayed(seed, n, masked), jax.random.key(seed)
        random = draws(algorithm, state.network, batch.reward.shape[1], key)
        rows = folded(batch, algorithm.gamma)
        wanted = targets(algorithm, params, target_params, rows, random)
        found = terms(algorithm, params, rows, wanted, random)
        grads = differences(lambda p: mean(terms(algorithm, p, rows, wanted, random)["loss"], rows.weight), params)  # noqa: B023
        expected = {name: mean(x, rows.weight) for name, x in found.items()}
        expected |= {name: found[name] for name in ("priority",) if name in found}
        expected |= {"grad_norm": length_of(grads)}
        params = adam.step(params, grads, scheduled(algorithm.learning_rate, steps), algorithm.max_grad_norm)
        if count % algorithm.target_every == 0:
            rate = algorithm.target_rate
            target_params = {name: (1 - rate) * old + rate * params[name] for name, old in target_params.items()}
        state, metrics = update(state, batch, key)
        steps = STEPS + seed  # the replay's clock
        assert float(state.steps) == steps
        assert_same({name: np.asarray(x) for name, x in metrics.items()}, expected)
        assert_same(by_name(state.network), params)
        assert_same(by_name(state.target), target_params)
        assert_same(by_name(state.opt_state[1].mu), adam.m, absolute=1e-6)
        assert_same(by_name(state.opt_state[1].nu), adam.v, absolute=1e-7)
