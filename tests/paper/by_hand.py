"""What the papers' pseudo-code is made of, in NumPy and float64: one transition at a time, every gradient by hand.

Nothing here looks like the library's code on purpose: loops instead of scans, sums instead of recursions, the chain
rule written out instead of automatic differentiation. Parameters and gradients are {path in the network: array}.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from bellmax.core import Transition
from bellmax.maths.schedules import Linear
from bellmax.spaces import Box, Discrete
from tests.learning.quick import QUICKLY

# --- parameters -------------------------------------------------------------------------------------------------------


def by_name(tree):
    """A tree of arrays as {".head.dense.weight": array in float64, ...}."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path): np.asarray(x, np.float64) for path, x in leaves}


def begun(algorithm, spec, seed):
    """The algorithm's state with random parameters: no zero biases, no symmetry, a policy that prefers something."""
    draw = np.random.default_rng(seed)
    state = jax.tree.map(
        lambda x: np.zeros(x.shape, x.dtype), jax.eval_shape(lambda key: algorithm.init(key, spec), jax.random.key(0))
    )
    return state._replace(network=jax.tree.map(lambda x: np.float32(0.5 * draw.normal(size=x.shape)), state.network))


def quickly(update):
    """The update compiled, without the optimisations that take longer than they save here."""
    return jax.jit(update, compiler_options=QUICKLY)


def zeros(params):
    return {name: np.zeros_like(x) for name, x in params.items()}


def scheduled(value, steps):
    """A hyperparameter after `steps` environment steps."""
    if not isinstance(value, Linear):
        return value
    return value.start + min(steps / value.steps, 1.0) * (value.end - value.start)


# --- dense layers with tanh -------------------------------------------------------------------------------------------


def torso(params, name, x):
    """h <- tanh(h W + b) layer by layer -> what went into each layer, and the features last."""
    kept = [x]
    while f"{name}.mlp.layers[{len(kept) - 1}].weight" in params:
        layer = f"{name}.mlp.layers[{len(kept) - 1}]"
        kept.append(np.tanh(kept[-1] @ params[f"{layer}.weight"] + params[f"{layer}.bias"]))
    return kept


def torso_backward(params, grads, name, kept, slope):
    """`slope`: d loss / d features. d tanh(z) / dz = 1 - tanh(z)^2."""
    for k in reversed(range(len(kept) - 1)):
        slope = slope * (1 - kept[k + 1] ** 2)
        slope = dense_backward(params, grads, f"{name}.mlp.layers[{k}]", kept[k], slope)


def dense_backward(params, grads, name, x, slope):
    """y = x W + b -> d loss / dx, given `slope` = d loss / dy."""
    grads[f"{name}.weight"] += np.outer(x, slope)
    grads[f"{name}.bias"] += slope
    return params[f"{name}.weight"] @ slope


# --- policies ---------------------------------------------------------------------------------------------------------


class Choice(NamedTuple):
    """How the policy sees one action, and the slopes of its log-probability and entropy."""

    log_prob: float
    entropy: float
    log_prob_by_output: np.ndarray
    entropy_by_output: np.ndarray
    log_prob_by_log_std: Any = 0.0
    entropy_by_log_std: Any = 0.0


def choice(params, features, action):
    outputs = features @ params[".head.dense.weight"] + params[".head.dense.bias"]
    if ".head.log_std" in params:
        return normal(outputs, params[".head.log_std"], action)
    return categorical(outputs, action)


def categorical(logits, action):
    """d log p(a) / d logit_i = 1[i = a] - p_i;   H = -sum p log p, so d H / d logit_i = -p_i (log p_i + H)."""
    p = np.exp(logits - logits.max())
    p /= p.sum()
    entropy = -sum(q * np.log(q) for q in p)
    return Choice(np.log(p[action]), entropy, np.eye(len(p))[action] - p, -p * (np.log(p) + entropy))


def normal(mean, log_std, action):
    """log N = sum -z^2 / 2 - log std - log(2 pi) / 2, z = (a - mean) / std;   H = sum log std + (1 + log 2 pi) / 2."""
    z = (action - mean) / np.exp(log_std)
    log_prob = sum(-(z**2) / 2 - log_std - np.log(2 * np.pi) / 2)
    entropy = sum(log_std + (1 + np.log(2 * np.pi)) / 2)
    return Choice(log_prob, entropy, z / np.exp(log_std), np.zeros_like(mean), z**2 - 1, np.ones_like(mean))


def choice_backward(params, grads, now, features, by_log_prob, by_entropy):
    """-> d loss / d features, given d loss / d log_prob and d loss / d entropy."""
    if ".head.log_std" in params:
        grads[".head.log_std"] += by_log_prob * now.log_prob_by_log_std + by_entropy * now.entropy_by_log_std
    slope = by_log_prob * now.log_prob_by_output + by_entropy * now.entropy_by_output
    return dense_backward(params, grads, ".head.dense", features, slope)


# --- the feed-forward actor-critic ------------------------------------------------------------------------------------


class Pass(NamedTuple):
    """One transition through the network."""

    choice: Choice
    value: float
    policy_kept: list
    value_kept: list


def value_torso(params):
    return ".torsos[1]" if any(name.startswith(".torsos[1]") for name in params) else ".torsos[0]"


def value_of(params, obs):
    features = torso(params, value_torso(params), obs)[-1]
    return (features @ params[".value_head.weight"] + params[".value_head.bias"])[0]


def forward(params, obs, action):
    kept = torso(params, ".torsos[0]", obs)
    return Pass(choice(params, kept[-1], action), value_of(params, obs), kept, torso(params, value_torso(params), obs))


def backward(params, grads, now, by_log_prob, by_entropy, by_value):
    """Add one transition's gradient, given the slopes of the loss by the three things the network says."""
    slope = choice_backward(params, grads, now.choice, now.policy_kept[-1], by_log_prob, by_entropy)
    torso_backward(params, grads, ".torsos[0]", now.policy_kept, slope)
    slope = dense_backward(params, grads, ".value_head", now.value_kept[-1], np.array([by_value]))
    torso_backward(params, grads, value_torso(params), now.value_kept, slope)


# --- returns and advantages -------------------------------------------------------------------------------------------


def slow_gae(reward, discount, value, next_value, last, gae_lambda):
    """A[t] = sum over k >= t of (lambda gamma)^(k - t) delta[k], to the episode's end: eq. 16 of Schulman et al., 2016.

    delta[k] = r[k] + gamma V(next obs[k]) - V(obs[k]), with no future behind a termination. One environment; [time].
    """
    advantage = np.zeros(len(reward))
    for t in range(len(reward)):
        factor = 1.0
        for k in range(t, len(reward)):
            advantage[t] += factor * (reward[k] + discount[k] * next_value[k] - value[k])
            factor *= discount[k] * gae_lambda
            if last[k]:
                break
    return advantage


def mean_and_deviation(x, weight):
    """Over the rows that count."""
    counted = [x_i for x_i, w in zip(x, weight) if w > 0]
    return np.mean(counted), np.std(counted)


def standardised(x, weight):
    mean, deviation = mean_and_deviation(x, weight)
    return (x - mean) / (deviation + 1e-8)


def explained(value, target, weight):
    """1 - Var(target - value) / Var(target)."""
    return 1 - (mean_and_deviation(target - value, weight)[1] / mean_and_deviation(target, weight)[1]) ** 2


# --- losses -----------------------------------------------------------------------------------------------------------


def proximal(log_prob, old_log_prob, advantage, clip):
    """min(r A, clip(r) A), its slope by log pi (dr / d log pi = r), the KL's estimate, and whether r left."""
    ratio = np.exp(log_prob - old_log_prob)
    held = min(max(ratio, 1 - clip), 1 + clip)
    surrogate = min(ratio * advantage, held * advantage)
    slope = ratio * advantage if ratio * advantage <= held * advantage else 0.0
    return surrogate, slope, ratio - 1 - np.log(ratio), float(ratio != held)


def squared(value, target):
    """(V - G)^2 / 2 and its slope."""
    return (value - target) ** 2 / 2, value - target


# --- steps down the gradient ------------------------------------------------------------------------------------------


def length_of(grads):
    return np.sqrt(sum(float((g**2).sum()) for g in grads.values()))


def shortened(grads, longest):
    """Pascanu et al., 2013: the whole gradient scaled to `longest` if it is longer."""
    return {name: g * min(1.0, longest / length_of(grads)) for name, g in grads.items()}


class Adam:
    """Kingma & Ba, 2015, algorithm 1: epsilon is added to the root, not under it."""

    def __init__(self, params):
        self.m, self.v, self.t = zeros(params), zeros(params), 0

    def step(self, params, grads, rate, longest):
        self.t += 1
        new = {}
        for name, g in shortened(grads, longest).items():
            self.m[name] = 0.9 * self.m[name] + 0.1 * g
            self.v[name] = 0.999 * self.v[name] + 0.001 * g**2
            m_hat, v_hat = self.m[name] / (1 - 0.9**self.t), self.v[name] / (1 - 0.999**self.t)
            new[name] = params[name] - rate * m_hat / (np.sqrt(v_hat) + 1e-5)
        return new


class RMSprop:
    """Mnih et al., 2016, section 4: g <- 0.99 g + 0.01 slope^2, step slope / sqrt(g + epsilon): under the root."""

    def __init__(self, params):
        self.v = zeros(params)

    def step(self, params, grads, rate, longest):
        new = {}
        for name, g in shortened(grads, longest).items():
            self.v[name] = 0.99 * self.v[name] + 0.01 * g**2
            new[name] = params[name] - rate * g / np.sqrt(self.v[name] + 1e-5)
        return new


# --- experience -------------------------------------------------------------------------------------------------------


def random_batch(seed, action, length=7, num_envs=4, obs=3):
    """Steps [time, env] of made-up episodes: terminations, time limits, both at once, and rows of weight 0."""
    draw = np.random.default_rng(seed)
    rows = (length, num_envs)
    terminated, cut = draw.random((2, *rows)) < 0.2
    last = terminated | cut
    seen = draw.normal(size=(length + 1, num_envs, obs))
    end = draw.normal(size=(*rows, obs))  # what an episode ends with is not what the next one begins with
    next_obs = np.where(last[..., None], end, seen[1:])
    kinds = {
        Discrete: lambda: draw.integers(action.n, size=rows),
        Box: lambda: draw.normal(size=(*rows, *action.shape)),
    }
    weight = (draw.random(rows) > 0.15).astype(np.float64)
    batch = Transition(
        seen[:-1], kinds[type(action)](), draw.normal(size=rows), 1.0 - terminated, last, next_obs, {}, weight
    )
    assert (cut & ~terminated).any() and terminated.any() and not last[-1].all() and (weight == 0).any()  # noqa: PT018
    in_float32 = lambda x: x.astype(np.float32).astype(np.float64) if x.dtype == np.float64 else x
    return jax.tree.map(in_float32, batch)  # numbers that the library can hold exactly


# --- comparing --------------------------------------------------------------------------------------------------------


def assert_same(got, expected, relative=1e-4, absolute=1e-5):
    """Two dictionaries of arrays, name by name."""
    assert set(got) == set(expected)
    for name, x in expected.items():
        np.testing.assert_allclose(got[name], x, rtol=relative, atol=absolute, err_msg=name)
