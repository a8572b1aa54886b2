"""What the papers on continuous control are made of, in NumPy and float64. Gradients are central differences.

A loss here is a function of parameters, {path in the network: array}; whatever else it needs it was given as numbers,
so that no gradient can go where the pseudo-code has none.
"""

import jax
import numpy as np

from bellmax.spaces import Box
from tests.paper.by_hand import by_name, random_batch

ACTION = Box((2,), (-2.0, 0.0), (2.0, 10.0))
MIDDLE, HALF = np.array([0.0, 5.0]), np.array([2.0, 5.0])

# --- states and batches -----------------------------------------------------------------------------------------------


def begun(algorithm, spec, seed):
    """The algorithm's state with random numbers in it, 50 steps old, its optimisers under way for 3 updates."""
    draw = np.random.default_rng(seed)

    def fill(path, x):
        name = jax.tree_util.keystr(path)
        if not np.issubdtype(x.dtype, np.floating):
            return np.full(x.shape, 3 if name.endswith(".count") else 0, x.dtype)
        positive = ".nu" in name or ".variance" in name or name.endswith(".scale")
        return np.float32(draw.uniform(0.05, 2.0, x.shape) if positive else 0.8 * draw.normal(size=x.shape))

    shapes = jax.eval_shape(lambda key: algorithm.init(key, spec), jax.random.key(0))
    state = jax.tree_util.tree_map_with_path(fill, shapes)
    return state._replace(steps=np.float32(50))


def replayed(seed, action, n, size=12):
    """Windows [n, size] with terminations, time limits, weights between 0 and 1 and rows of weight 0."""
    batch = jax.tree.map(lambda x: x[:n], random_batch(seed, action, num_envs=size))
    batch.discount[0, :3], batch.last[0, :3], batch.weight[0, :4] = [0, 1, 1], [True, True, False], [1, 1, 1, 0]
    weight = np.float64(np.float32(batch.weight * np.random.default_rng(seed).uniform(0.2, 1.0, batch.weight.shape)))
    return batch._replace(weight=weight, extras={"steps": np.full((n, size), 60.0)})


def folded(batch, gamma):
    """-> R + gamma R' + ... up to n steps, what the value behind is multiplied by, and what is seen there."""
    n, size = batch.reward.shape
    reward, factor, next_obs = np.zeros(size), np.ones(size), np.zeros(batch.obs.shape[1:])
    for i in range(size):
        for k in range(n):
            reward[i] += factor[i] * batch.reward[k, i]
            factor[i] *= gamma * batch.discount[k, i]
            next_obs[i] = batch.next_obs[k, i]
            if batch.last[k, i]:
                break
    return reward, factor, next_obs


def mean(x, weight):
    return sum(x_i * w for x_i, w in zip(x, weight) if w > 0) / sum(weight)


def unit(action):
    """Actions of ACTION measured in -1 .. 1."""
    return (action - MIDDLE) / HALF


# --- networks, for rows [batch, ...] ----------------------------------------------------------------------------------


def dense(params, name, x):
    return x @ params[f"{name}.weight"] + params[f"{name}.bias"]


def layers(params, name):
    """How many dense layers there are."""
    return sum(f"{name}.layers[{k}].weight" in params for k in range(9))


def relus(params, name, x):
    for k in range(layers(params, name)):
        x = np.maximum(dense(params, f"{name}.layers[{k}]", x), 0)
    return x


def critic(params, name, obs, action):
    """Q [batch]; actions in -1 .. 1."""
    return dense(params, f"{name}.head", relus(params, f"{name}.mlp", np.concatenate([obs, action], -1)))[:, 0]


def deterministic(params, obs):
    """Actions in -1 .. 1."""
    return np.tanh(dense(params, ".head", relus(params, ".torso.mlp", obs)))


def squashed(features, params, noise):
    """tanh(mean + std noise), and its log-density: that of the normal less log |d tanh(u) / du| = -2 log cosh u."""
    log_std = -5 + 3.5 * (np.tanh(dense(params, ".log_std", features)) + 1)
    before = dense(params, ".mean", features) + np.exp(log_std) * noise
    log_prob = -(noise**2) / 2 - log_std - np.log(2 * np.pi) / 2 + 2 * np.log(np.cosh(before))
    return np.tanh(before), log_prob.sum(-1)


def stochastic(params, obs, noise):
    return squashed(relus(params, ".torso.mlp", obs), params, noise)


# --- steps ------------------------------------------------------------------------------------------------------------


def slopes(loss, params, step=1e-6):
    """(L(x + h) - L(x - h)) / 2h for every number there is."""
    grads = {}
    for name, x in params.items():
        grads[name] = np.zeros_like(x)
        for place in np.ndindex(*x.shape):
            there = []
            for sign in (1, -1):
                moved = x.copy()
                moved[place] += sign * step
                there.append(loss(params | {name: moved}))
            grads[name][place] = (there[0] - there[1]) / (2 * step)
    return grads


class Adam:
    """Kingma & Ba, 2015, algorithm 1, from where the library's stands."""

    def __init__(self, opt_state, beta1=0.9):
        self.t, self.beta1 = int(opt_state.count), beta1
        self.m, self.v = by_name(opt_state.mu), by_name(opt_state.nu)

    def step(self, params, grads, rate):
        self.t += 1
        new = {}
        for name, g in grads.items():
            self.m[name] = self.beta1 * self.m[name] + (1 - self.beta1) * g
            self.v[name] = 0.999 * self.v[name] + 0.001 * g**2
            m_hat, v_hat = self.m[name] / (1 - self.beta1**self.t), self.v[name] / (1 - 0.999**self.t)
            new[name] = params[name] - rate * m_hat / (np.sqrt(v_hat) + 1e-8)
        return new

    def state(self):
        return {f"m{name}": x for name, x in self.m.items()} | {f"v{name}": x for name, x in self.v.items()}


def adam_of(opt_state):
    """The library's, in the same words."""
    m, v = by_name(opt_state.mu), by_name(opt_state.nu)
    return {f"m{name}": x for name, x in m.items()} | {f"v{name}": x for name, x in v.items()}


def followed(target, online, tau):
    return {name: (1 - tau) * x + tau * online[name] for name, x in target.items()}


def one(x):
    """A number as parameters."""
    return {"": np.asarray(x, np.float64)}
