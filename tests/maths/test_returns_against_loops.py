"""Returns and advantages against slow loops over the papers' sums, on random terminations and time limits."""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import pytest

from bellmax.maths.returns import gae, lambda_return, monte_carlo_return, n_step_return, vtrace

TIME, ENVS = 14, 30


class Experience(NamedTuple):
    reward: np.ndarray
    discount: np.ndarray
    value: np.ndarray
    next_value: np.ndarray
    last: np.ndarray
    ratio: np.ndarray
    truncated: np.ndarray  # cut short and not terminated: the rows with a future that the data do not show


def random_experience(seed):
    """A third of the environments has gamma, a third -gamma (two players), a third a learned continuation."""
    draw = np.random.default_rng(seed)
    terminated, cut = draw.random((2, TIME, ENVS)) < 0.12
    last = terminated | cut
    goes_on = np.where(np.arange(ENVS) % 3 == 0, 0.9, -0.9) * np.ones((TIME, ENVS))
    goes_on = np.where(np.arange(ENVS) % 3 == 2, draw.random((TIME, ENVS)), goes_on)
    value, elsewhere = 3 * draw.normal(size=(2, TIME, ENVS))
    following = np.concatenate([value[1:], elsewhere[-1:]])
    next_value = np.where(last, elsewhere, following)  # after an end the true successor is not the next row
    ratio = np.exp(draw.normal(size=(TIME, ENVS)))
    reward = draw.normal(size=(TIME, ENVS))
    return Experience(reward, goes_on * ~terminated, value, next_value, last, ratio, cut & ~terminated)


@pytest.fixture(scope="module", params=[0, 1])
def data(request):
    data = random_experience(request.param)
    # The flags come in every combination, and some environments are in mid-episode when the data end.
    assert data.truncated.any()
    assert (data.last & ~data.truncated).any()
    assert data.last[-1].any()
    assert not data.last[-1].all()
    return data


def every_step(formula, data):
    """formula(t, end, one environment) at each step, `end` being the last step it may look at."""
    out = np.zeros((TIME, ENVS))
    for n in range(ENVS):
        one = Experience(*(x[:, n] for x in data))
        for t in range(TIME):
            ends = [k for k in range(t, TIME) if one.last[k] or k == TIME - 1]
            out[t, n] = formula(t, ends[0], one)
    return out


def slow_monte_carlo(t, end, x):  # sum_k gamma^k R_{t+k}
    return sum(np.prod(x.discount[t:k]) * x.reward[k] for k in range(t, end + 1))


def slow_n_step(n, t, end, x):  # Sutton & Barto, eq. 7.1, with n cut to what there is
    stop = min(t + n - 1, end)
    return slow_monte_carlo(t, stop, x) + np.prod(x.discount[t : stop + 1]) * x.next_value[stop]


def slow_lambda(lambda_, t, end, x):  # eq. 12.3: (1 - lambda) sum_n lambda^(n-1) G_{t:t+n} + lambda^(H-1) G_{t:t+H}
    longest = end - t + 1
    shorter = sum(lambda_ ** (n - 1) * slow_n_step(n, t, end, x) for n in range(1, longest))
    return (1 - lambda_) * shorter + lambda_ ** (longest - 1) * slow_n_step(longest, t, end, x)


def slow_gae(lambda_, t, end, x):  # Schulman et al., eq. 16: sum_l (gamma lambda)^l delta_{t+l}
    delta = x.reward + x.discount * x.next_value - x.value
    return sum(np.prod(lambda_ * x.discount[t:k]) * delta[k] for k in range(t, end + 1))


def slow_vtrace(lambda_, clip_rho, clip_c, t, end, x):  # Espeholt et al., eq. 1
    delta = np.minimum(clip_rho, x.ratio) * (x.reward + x.discount * x.next_value - x.value)
    c = lambda_ * np.minimum(clip_c, x.ratio)
    return x.value[t] + sum(np.prod(x.discount[t:k] * c[t:k]) * delta[k] for k in range(t, end + 1))


def slow_vtrace_advantage(lambda_, clip_rho, clip_c, t, end, x):  # section 4.2: rho (r + gamma vs_{t+1} - V)
    later = x.next_value[t] if t == end else slow_vtrace(lambda_, clip_rho, clip_c, t + 1, end, x)
    return min(clip_rho, x.ratio[t]) * (x.reward[t] + x.discount[t] * later - x.value[t])


def same(got, expected):
    np.testing.assert_allclose(np.asarray(got), expected, rtol=2e-5, atol=2e-5)


def differs(got, expected):
    return np.abs(np.asarray(got) - expected).max() > 0.1


fast_lambda, fast_gae, fast_monte_carlo = jax.jit(lambda_return), jax.jit(gae), jax.jit(monte_carlo_return)
fast_n_step, fast_vtrace = jax.jit(n_step_return, static_argnums=4), jax.jit(vtrace)


def test_monte_carlo_return(data):
    same(fast_monte_carlo(data.reward, data.discount, data.last), every_step(slow_monte_carlo, data))


@pytest.mark.parametrize("lambda_", [0.0, 0.6, 1.0])
def test_lambda_return(data, lambda_):
    got = fast_lambda(data.reward, data.discount, data.next_value, data.last, lambda_)
    same(got, every_step(partial(slow_lambda, lambda_), data))


@pytest.mark.parametrize("lambda_", [0.0, 0.6, 1.0])
def test_gae(data, lambda_):
    got = fast_gae(data.reward, data.discount, data.value, data.next_value, data.last, lambda_)
    same(got, every_step(partial(slow_gae, lambda_), data))


@pytest.mark.parametrize("n", [1, 2, 5, 3 * TIME])
def test_n_step_return(data, n):
    got = fast_n_step(data.reward, data.discount, data.next_value, data.last, n)
    same(got, every_step(partial(slow_n_step, n), data))


@pytest.mark.parametrize("settings", [(1.0, 1.0, 1.0), (0.7, 1.0, 1.0), (0.9, 2.0, 0.5)])
def test_vtrace(data, settings):
    arrays = (data.ratio, data.reward, data.discount, data.value, data.next_value, data.last)
    vs, advantage = fast_vtrace(*arrays, *settings)
    same(vs, every_step(partial(slow_vtrace, *settings), data))
    same(advantage, every_step(partial(slow_vtrace_advantage, *settings), data))


def test_the_usual_mistakes_would_be_seen(data):
    """The data are such that each well-known mistake changes the result."""
    right = every_step(partial(slow_gae, 0.9), data)
    one_flag = data._replace(discount=np.where(data.last, 0, data.discount))  # a time limit taken for a termination
    differs_there = every_step(partial(slow_gae, 0.9), one_flag)
    reset_value = np.concatenate([data.value[1:], data.next_value[-1:]])  # the value of the next episode's first state
    from_reset = every_step(partial(slow_gae, 0.9), data._replace(next_value=reset_value))
    over_the_end = every_step(partial(slow_gae, 0.9), data._replace(last=np.zeros_like(data.last)))
    assert all(differs(wrong, right) for wrong in (differs_there, from_reset, over_the_end))


def test_gae_with_lambda_0_is_the_td_error(data):
    got = fast_gae(data.reward, data.discount, data.value, data.next_value, data.last, 0.0)
    same(got, data.reward + data.discount * data.next_value - data.value)


def test_gae_with_lambda_1_is_the_return_less_the_value_where_every_episode_ends():
    data = random_experience(2)
    last = data.last.copy()
    last[-1] = True
    discount = np.where(last, 0, data.discount)  # every end a termination
    got = fast_gae(data.reward, discount, data.value, data.next_value, last, 1.0)
    same(got, fast_monte_carlo(data.reward, discount, last) - data.value)
    # Control: with time limits the return lacks what the value behind them is worth.
    got = fast_gae(data.reward, data.discount, data.value, data.next_value, last, 1.0)
    assert differs(got, fast_monte_carlo(data.reward, data.discount, last) - data.value)


def test_gae_and_value_make_the_lambda_return(data):
    returns = fast_lambda(data.reward, data.discount, data.next_value, data.last, 0.8)
    got = fast_gae(data.reward, data.discount, data.value, data.next_value, data.last, 0.8)
    same(got + data.value, returns)
    # It leans on V' being the next row's V inside an episode, and there alone: at an end they differ in these data.
    inside = ~data.last
    inside[-1] = False
    np.testing.assert_array_equal(data.next_value[inside], np.roll(data.value, -1, axis=0)[inside])
    assert not np.isclose(data.next_value[data.last], np.roll(data.value, -1, axis=0)[data.last]).any()
    shifted = data.next_value + np.where(inside, 1.0, 0.0)
    got = fast_gae(data.reward, data.discount, data.value, shifted, data.last, 0.8)
    assert differs(got + data.value, fast_lambda(data.reward, data.discount, shifted, data.last, 0.8))


def test_vtrace_on_policy_is_the_lambda_return(data):
    ones = np.ones_like(data.ratio)
    for lambda_ in (0.5, 1.0):
        vs, advantage = fast_vtrace(ones, data.reward, data.discount, data.value, data.next_value, data.last, lambda_)
        same(vs, fast_lambda(data.reward, data.discount, data.next_value, data.last, lambda_))
    same(advantage, fast_gae(data.reward, data.discount, data.value, data.next_value, data.last, 1.0))


def test_the_ends_of_n(data):
    target = data.reward + data.discount * data.next_value
    same(fast_n_step(data.reward, data.discount, data.next_value, data.last, 1), target)
    longest = fast_lambda(data.reward, data.discount, data.next_value, data.last, 1.0)
    same(fast_n_step(data.reward, data.discount, data.next_value, data.last, TIME), longest)
