"""Gradient steps against slow loops written from the papers, in NumPy and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.optimise import clipped_adam, clipped_rmsprop, descend, global_norm, laprop, scale_gradient

RATE, EPSILON = 0.1, 1e-5
PARAMS = {"w": np.array([[1.0, -2.0], [0.5, 3.0]]), "b": np.array([0.1, -0.2])}
# Three steps' gradients. Lengths: sqrt(9 + 16 + 144) = 13, sqrt(4 * 0.04 + 2 * 0.01) = 0.424, sqrt(6) = 2.45
GRADS = [
    {"w": np.array([[3.0, 0.0], [0.0, 4.0]]), "b": np.array([0.0, -12.0])},
    {"w": np.full((2, 2), 0.2), "b": np.full(2, -0.1)},
    {"w": -np.ones((2, 2)), "b": np.ones(2)},
]


def clip_together(grads, longest):
    """Pascanu et al., 2013: g <- g longest / |g| if |g| > longest, |g| over all parameters."""
    length = np.sqrt(sum((g**2).sum() for g in grads.values()))
    return {name: g * min(1, longest / length) for name, g in grads.items()}


def clip_elements(grads, longest):
    """What is often confused with it."""
    return {name: g.clip(-longest, longest) for name, g in grads.items()}


def slow_adam(longest, clip, steps):
    """Kingma & Ba, 2015, algorithm 1, with beta = (0.9, 0.999) and epsilon outside the root."""
    params = dict(PARAMS)
    m, v = ({name: np.zeros_like(p) for name, p in PARAMS.items()} for _ in range(2))
    for t, grads in enumerate(GRADS[:steps], 1):
        for name, g in clip(grads, longest).items():
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g**2
            m_hat, v_hat = m[name] / (1 - 0.9**t), v[name] / (1 - 0.999**t)
            params[name] = params[name] - RATE * m_hat / (np.sqrt(v_hat) + EPSILON)
    return params


def slow_rmsprop(longest, decay, steps):
    """Hinton's lecture 6e: v <- decay v + (1 - decay) g^2, step g / sqrt(v + epsilon), epsilon inside the root."""
    params, v = dict(PARAMS), {name: np.zeros_like(p) for name, p in PARAMS.items()}
    for grads in GRADS[:steps]:
        for name, g in clip_together(grads, longest).items():
            v[name] = decay * v[name] + (1 - decay) * g**2
            params[name] = params[name] - RATE * g / np.sqrt(v[name] + EPSILON)
    return params


def run(optimizer, steps):
    params = jax.tree.map(jnp.asarray, PARAMS)
    opt_state = optimizer.init(params)
    for grads in GRADS[:steps]:
        params, opt_state = descend(optimizer, params, jax.tree.map(jnp.asarray, grads), opt_state, RATE)
    return params


def furthest(got, expected):
    return max(np.abs(np.asarray(got[name]) - expected[name]).max() for name in expected)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("longest", [0.5, 100.0])
def test_clipped_adam(steps, longest):
    got = run(clipped_adam(longest, EPSILON), steps)
    assert furthest(got, slow_adam(longest, clip_together, steps)) < 1e-5


def test_elements_are_not_clipped_one_by_one():
    """Control, at the second step: the first one of Adam hides any factor, for it divides the gradient by itself."""
    got = run(clipped_adam(0.5, EPSILON), 2)
    assert furthest(got, slow_adam(0.5, clip_elements, 2)) > 0.005
    assert furthest(got, slow_adam(100.0, clip_together, 2)) > 0.005  # nor is the clip left out


def test_the_first_step_of_adam_by_hand():
    # m_hat = g, v_hat = g^2: a step of the rate, against the sign of each gradient; none where it is 0
    got = run(clipped_adam(100.0, EPSILON), 1)
    np.testing.assert_allclose(got["w"], [[0.9, -2.0], [0.5, 2.9]], atol=1e-5)
    np.testing.assert_allclose(got["b"], [0.1, -0.1], atol=1e-5)


@pytest.mark.parametrize("longest", [0.5, 100.0])
def test_clipped_rmsprop(longest):
    got = run(clipped_rmsprop(longest, 0.9, EPSILON), 3)
    assert furthest(got, slow_rmsprop(longest, 0.9, 3)) < 1e-5


def test_global_norm_takes_all_parameters_together():
    assert global_norm(jax.tree.map(jnp.asarray, GRADS[0])) == 13


def test_learning_rate_and_clip_may_be_traced():
    """One program for many settings: mapped over both, it equals a loop."""
    params, grads = ({name: jnp.asarray(x) for name, x in tree.items()} for tree in (PARAMS, GRADS[0]))

    def step(rate, longest):
        optimizer = clipped_adam(longest, 0.1)  # an epsilon that keeps the clip visible in one step
        return descend(optimizer, params, grads, optimizer.init(params), rate)[0]["b"][1]

    rates, lengths = jnp.array([0.1, 0.2, 0.1]), jnp.array([1.0, 1.0, 13.0])
    # g = -12 min(1, longest / 13); step rate |g| / (|g| + 0.1), upwards from -0.2
    g = 12 * np.array([1 / 13, 1 / 13, 1])
    np.testing.assert_allclose(jax.jit(jax.vmap(step))(rates, lengths), -0.2 + rates * g / (g + 0.1), atol=1e-5)


def test_no_gradient_no_step():
    params = {"w": jnp.ones(3)}
    optimizer = clipped_adam(0.5)
    new, _ = descend(optimizer, params, {"w": jnp.zeros(3)}, optimizer.init(params), RATE)
    np.testing.assert_array_equal(new["w"], params["w"])


def test_laprop_is_its_paper_s_loop_behind_adaptive_clipping():
    """Columns of w are units, b is one: a gradient is cut to 0.3 of its unit's weights, then divided, then averaged."""
    params, clip, epsilon = {name: x.copy() for name, x in PARAMS.items()}, 0.3, 1e-6
    optimizer = laprop(clip, epsilon)
    fast = jax.tree.map(jnp.float32, params)
    state = optimizer.init(fast)
    n, m = ({name: np.zeros_like(x) for name, x in params.items()} for _ in range(2))
    for t, grads in enumerate(GRADS, 1):
        fast, state = descend(optimizer, fast, jax.tree.map(jnp.float32, grads), state, RATE)
        for name, x in params.items():
            size, slope = (np.sqrt((y**2).sum(0)) for y in (x, grads[name]))
            g = grads[name] * np.minimum(1, clip * np.maximum(size, 1e-3) / np.maximum(slope, 1e-6))
            n[name] = 0.99 * n[name] + 0.01 * g**2
            m[name] = 0.9 * m[name] + 0.1 * g / (np.sqrt(n[name] / (1 - 0.99**t)) + epsilon)
            params[name] = x - RATE * m[name] / (1 - 0.9**t)
        for name, x in params.items():
            np.testing.assert_allclose(fast[name], x, rtol=1e-5, atol=1e-6)


def test_a_gradient_is_scaled_and_its_number_is_not():
    # f(x) = s(s(x)^2): s leaves x^2 as it is, and its slope 2 x is halved twice.
    twice = lambda x: scale_gradient(scale_gradient(x, 0.5) ** 2, 0.5)
    assert twice(jnp.float32(3)) == 9
    assert jax.grad(twice)(jnp.float32(3)) == 1.5
