"""What bandit algorithms choose: indices worked out by hand, and the distributions that are drawn from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.bandits import epsilon_greedy, gaussian_thompson, gradient_bandit, kl_ucb, linucb, thompson
from bellmax.algorithms.bandits import linear_thompson as linear
from bellmax.algorithms.bandits import ucb as ucb_file
from bellmax.algorithms.bandits import ucb_tuned as tuned
from bellmax.algorithms.bandits.exp3 import EXP3, State
from bellmax.maths.schedules import Linear
from tests.bandits.by_hand import coin_divergence
from tests.bandits.test_updates import random_pulls
from tests.learning.quick import QUICKLY

KEYS = jax.random.split(jax.random.key(0), 20_000)


def shares(algorithm, state, obs=0, verb="act"):
    """How often each arm is chosen, [arms]."""
    choose = jax.vmap(lambda key: getattr(algorithm, verb)(state, obs, key).action)
    actions = jax.jit(choose, compiler_options=QUICKLY)(KEYS)
    return np.bincount(actions, minlength=3) / len(KEYS)


def close(share, expected):
    """Within four standard errors of a share of KEYS."""
    np.testing.assert_array_less(np.abs(share - expected), 4 * np.sqrt(0.25 / len(KEYS)))


def arrays(*rows):
    return [jnp.asarray(row, jnp.float32) for row in rows]


def test_ucb_by_hand():
    """t = 1 + 2 + 4 + 1 = 8, ln 8 = 2.0794: widths sqrt(2.0794), sqrt(1.0397), sqrt(0.5199)."""
    state = ucb_file.State(*arrays([0.1, 0.3, 0.5], [1, 2, 4]))
    expected = [0.1 + 2 * 1.44203, 0.3 + 2 * 1.01967, 0.5 + 2 * 0.72101]
    np.testing.assert_allclose(ucb_file.UCB(c=2.0).bound(state), expected, rtol=1e-5)
    close(shares(ucb_file.UCB(), state), [1, 0, 0])
    close(shares(ucb_file.UCB(c=0.0), state), [0, 0, 1])


def test_ucb_tuned_by_hand():
    """n = 16, ln 16 = 2.7726. Arm 0: V = 0 + sqrt(2 ln 16 / 12) = 0.6798, so 1/4: sqrt(2.7726 / 12 / 4) = 0.24034.
    Arm 1, 4 pulls: V > 1/4 too: sqrt(2.7726 / 4 / 4) = 0.41628. With a million pulls of variance 0.01 the variance
    tells: sqrt(ln n / n (0.01 + sqrt(2 ln n / n)))."""
    state = tuned.State(*arrays([0.5, 0.4], [0.0, 0.2], [12, 4]))
    np.testing.assert_allclose(tuned.UCBTuned().bound(state), [0.74034, 0.81628], rtol=1e-4)
    state = tuned.State(*arrays([0.5], [0.01], [1e6]))
    share = np.log(1e6) / 1e6
    expected = 0.5 + np.sqrt(share * (0.01 + np.sqrt(2 * share)))
    np.testing.assert_allclose(tuned.UCBTuned().bound(state), [expected], rtol=1e-6)


@pytest.mark.parametrize("count", [1.0, 3.0, 30.0, 1000.0])
@pytest.mark.parametrize("mean", [0.0, 0.001, 0.2, 0.5, 0.9, 0.999])
def test_the_kl_ucb_index_solves_its_equation(mean, count):
    """N d(mean, q) = ln t, and q is above the mean: t is 1 + all pulls."""
    state = kl_ucb.State(*arrays([mean, 0.5], [count, 100]))
    q = float(kl_ucb.KLUCB().bound(state)[0])
    allowed = np.log(count + 100 + 1) / count
    low, high = mean, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if coin_divergence(mean, middle) <= allowed else (low, middle)
    assert abs(q - low) < 1e-5
    assert mean < q <= 1


def test_the_kl_ucb_index_of_a_perfect_arm_and_with_c():
    state = kl_ucb.State(*arrays([1.0, 0.5], [7, 93]))
    assert float(kl_ucb.KLUCB().bound(state)[0]) == pytest.approx(1, abs=1e-5)
    allowed = (np.log(101) + 3 * np.log(np.log(101))) / 93  # by hand: (4.6151 + 4.5881) / 93 = 0.09896
    q = float(kl_ucb.KLUCB(c=3.0).bound(state)[1])
    assert coin_divergence(0.5, q) == pytest.approx(allowed, rel=1e-4)
    # Pinsker's inequality: the bound is tighter than UCB1's would be, sqrt(allowed / 2)
    assert q < 0.5 + np.sqrt(allowed / 2)


UNPULLED = [
    (ucb_file.UCB(), ucb_file.State(*arrays([9, 0, 0], [5, 0, 0]))),
    (kl_ucb.KLUCB(), kl_ucb.State(*arrays([1, 0, 0], [5, 0, 0]))),
    (tuned.UCBTuned(), tuned.State(*arrays([9, 0, 0], [1, 0, 0], [5, 0, 0]))),
]


@pytest.mark.parametrize(("algorithm", "state"), UNPULLED, ids=["ucb", "kl-ucb", "ucb-tuned"])
def test_arms_never_pulled_come_first_and_evenly(algorithm, state):
    close(shares(algorithm, state), [0, 0.5, 0.5])
    close(shares(algorithm, state, verb="greedy"), [1, 0, 0])


def test_epsilon_greedy_draws_what_it_says():
    """epsilon / 3 each, and the rest for the two that are best."""
    state = epsilon_greedy.State(*arrays([1, 0, 1], [4, 3, 2]))
    close(shares(epsilon_greedy.EpsilonGreedyBandit(epsilon=0.3), state), [0.45, 0.1, 0.45])
    close(shares(epsilon_greedy.EpsilonGreedyBandit(epsilon=0.3), state, verb="greedy"), [0.5, 0, 0.5])
    # nine pulls so far: a schedule half through, and 6 / 10 at the tenth pull
    halfway = epsilon_greedy.EpsilonGreedyBandit(epsilon=Linear(0.6, 0.0, 18.0))
    close(shares(halfway, state), [0.45, 0.1, 0.45])
    close(shares(epsilon_greedy.EpsilonGreedyBandit(epsilon=6.0, decay=1.0), state), [0.4, 0.2, 0.4])
    close(shares(epsilon_greedy.EpsilonGreedyBandit(epsilon=60.0, decay=1.0), state), [1 / 3, 1 / 3, 1 / 3])


def test_gradient_bandit_by_hand():
    """H = (0, ln 2, 0): pi = (1/4, 1/2, 1/4). Average 2 of 3 pulls, arm 1 pays 6: the average with it is 3, so
    H(1) += 0.1 (6 - 3) (1 - 1/2) = 0.15 and the others -= 0.1 x 3 x 1/4 = 0.075; eq. 2.12 compares with 2: 0.2, 0.1."""
    ln2 = float(np.log(2))
    state = gradient_bandit.State(*arrays([0, ln2, 0], 2, 3))
    batch = random_pulls(0, 1)._replace(action=np.array([[1]]), reward=np.float32([[6]]))
    for inclusive, up, down in ((True, 0.15, 0.075), (False, 0.2, 0.1)):
        bandit = gradient_bandit.GradientBandit(step_size=0.1, inclusive=inclusive)
        after, _ = bandit.update(state, batch, KEYS[0])
        np.testing.assert_allclose(after.preference, [-down, ln2 + up, -down], rtol=1e-5)
        assert float(after.average) == 3
    close(shares(gradient_bandit.GradientBandit(), state), [0.25, 0.5, 0.25])


def test_exp3_by_hand():
    """w = (1, 2, 1) / 2, gamma = 0.2: p = 0.8 (1/4, 1/2, 1/4) + 0.2 / 3; w_0 grows by exp(0.2 / 3 x 0.5 / 0.26667)."""
    bandit, state = EXP3(mixing=0.2), State(jnp.log(jnp.float32([0.5, 1, 0.5])))
    expected = [0.8 / 4 + 0.2 / 3, 0.8 / 2 + 0.2 / 3, 0.8 / 4 + 0.2 / 3]
    np.testing.assert_allclose(bandit.probabilities(state), expected, rtol=1e-6)
    close(shares(bandit, state), expected)
    decision = bandit.act(state, 0, KEYS[1])
    np.testing.assert_allclose(decision.extras["probability"], expected[int(decision.action)], rtol=1e-6)
    extras = {"probability": np.float32([[expected[0]]])}
    batch = random_pulls(0, 1)._replace(action=np.array([[0]]), reward=np.float32([[0.5]]), extras=extras)
    after, _ = bandit.update(state, batch, KEYS[0])
    np.testing.assert_allclose(after.log_weight, np.log([0.5, 1, 0.5]) + np.array([0.125, 0, 0]), rtol=1e-5)


@pytest.mark.parametrize("shape", [0.3, 1.0, 2.5, 40.0, 1e4, 1e6])
def test_gamma_draws_have_gammas_moments(shape):
    """Mean and variance of Gamma(a) are a and a, its third central moment 2 a; ln Gamma(a) has mean digamma(a)."""
    logs = jax.jit(jax.vmap(lambda key: thompson.log_gammas(jnp.full(10, shape), key)))(KEYS)
    z = (np.exp(np.asarray(logs, np.float64)) - shape) / np.sqrt(shape)
    n, kurtosis = z.size, 3 + 6 / shape
    assert abs(z.mean()) < 4.5 / np.sqrt(n)
    assert abs((z**2).mean() - 1) < 4.5 * np.sqrt((kurtosis - 1) / n)
    if shape > 1:
        assert abs((z**3).mean() - 2 / np.sqrt(shape)) < 4.5 * np.sqrt(60 / n)
    digamma, trigamma = jax.scipy.special.digamma(shape), jax.scipy.special.polygamma(1, shape)
    assert abs(logs.mean() - digamma) < 4.5 * np.sqrt(float(trigamma) / n) + 1e-6 * abs(digamma)


def test_gamma_draws_of_one_key_are_independent():
    logs = np.asarray(jax.jit(jax.vmap(lambda key: thompson.log_gammas(jnp.full(6, 1.0), key)))(KEYS))
    correlation = np.corrcoef(logs.T) - np.eye(6)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(len(KEYS))


def test_thompson_pulls_an_arm_as_often_as_it_is_best():
    """Beta(1, 1) against Beta(2, 1): P(U < max of two uniforms) = 2/3. And the exact integral for larger counts."""
    state = thompson.State(*arrays([1, 2], [1, 1]))
    close(shares(thompson.ThompsonSampling(), state)[:2], [1 / 3, 2 / 3])
    a, b = (30.0, 26.0), (71.0, 51.0)
    x = (np.arange(20_000) + 0.5) / 20_000
    density = [x ** (s - 1) * (1 - x) ** (f - 1) for s, f in zip(a, b)]
    density = [d / d.sum() for d in density]
    first_is_best = (density[0] * (np.cumsum(density[1]) - density[1] / 2)).sum()
    share = shares(thompson.ThompsonSampling(), thompson.State(*arrays(a, b)))[:2]
    close(share, [first_is_best, 1 - first_is_best])
    close(shares(thompson.ThompsonSampling(), thompson.State(*arrays(a, b)), verb="greedy")[:2], [0, 1])


def phi(z):
    return float(jax.scipy.stats.norm.cdf(z))


def test_gaussian_thompson_pulls_an_arm_as_often_as_it_is_best():
    """N(1, 1/4) against N(0.5, 1): their difference is N(0.5, 1.25)."""
    state = gaussian_thompson.State(*arrays([1, 0.5], [4, 1]))
    best = phi(0.5 / np.sqrt(1.25))
    close(shares(gaussian_thompson.GaussianThompson(), state)[:2], [best, 1 - best])


def two_arms():
    """theta_0 = (1, 0) and theta_1 = (0.5, 0.5) with A^-1 = diag(0.5, 0.1) and diag(0.2, 0.8)."""
    inverse = np.stack([np.diag([0.5, 0.1]), np.diag([0.2, 0.8])])
    b = np.stack([np.linalg.inv(inverse[0]) @ [1, 0], np.linalg.inv(inverse[1]) @ [0.5, 0.5]])
    return inverse, b


def test_linucb_by_hand():
    """In x = (1, 0.8) arm 0 has 1 + alpha sqrt(0.5 + 0.1 x 0.64) = 1 + 0.7510 alpha and arm 1, of spread
    sqrt(0.2 + 0.8 x 0.64), 0.9 + 0.8438 alpha: the second is ahead from alpha = 0.1 / 0.0928 = 1.078 on."""
    state, x = linucb.State(*arrays(*two_arms())), jnp.asarray([1, 0.8])
    close(shares(linucb.LinUCB(alpha=1.05), state, x)[:2], [1, 0])
    close(shares(linucb.LinUCB(alpha=1.10), state, x)[:2], [0, 1])
    close(shares(linucb.LinUCB(alpha=0.0), state, jnp.ones(2))[:2], [0.5, 0.5])  # 1 and 1
    close(shares(linucb.LinUCB(alpha=1.10), state, x, "greedy")[:2], [1, 0])


def test_linear_thompson_pulls_an_arm_as_often_as_it_is_best():
    """In x = (1, 0.5) the draws are N(1, v^2 0.525) and N(0.75, v^2 0.4): as the matrix normal of the paper has it."""
    inverse, f = two_arms()
    v, x = 0.5, np.asarray([1, 0.5])
    bandit, state = linear.LinearThompson(scale=v), linear.State(*arrays(inverse, f))
    best = phi(0.25 / (v * np.sqrt(0.925)))
    share = shares(bandit, state, jnp.asarray(x, jnp.float32))[:2]
    close(share, [best, 1 - best])
    # the paper's own draw: all weights at once, from the block-diagonal covariance
    covariance = np.block([[inverse[0], np.zeros((2, 2))], [np.zeros((2, 2)), inverse[1]]])
    mu = np.concatenate([inverse[0] @ f[0], inverse[1] @ f[1]])
    drawn = np.random.default_rng(0).multivariate_normal(mu, v**2 * covariance, size=100_000)
    close(share[0], (drawn[:, :2] @ x > drawn[:, 2:] @ x).mean())
