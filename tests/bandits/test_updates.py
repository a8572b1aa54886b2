"""Three updates of every bandit algorithm are those of its paper, with one environment and with three."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.bandits.epsilon_greedy import EpsilonGreedyBandit
from bellmax.algorithms.bandits.exp3 import EXP3
from bellmax.algorithms.bandits.gaussian_thompson import GaussianThompson
from bellmax.algorithms.bandits.gradient_bandit import GradientBandit
from bellmax.algorithms.bandits.kl_ucb import KLUCB
from bellmax.algorithms.bandits.linear_thompson import LinearThompson
from bellmax.algorithms.bandits.linucb import LinUCB
from bellmax.algorithms.bandits.thompson import ThompsonSampling
from bellmax.algorithms.bandits.ucb import UCB
from bellmax.algorithms.bandits.ucb_tuned import UCBTuned
from bellmax.core import Spec, Transition
from bellmax.spaces import Box, Discrete
from tests.bandits import by_hand
from tests.learning.quick import QUICKLY

ARMS, FEATURES = 4, 3
CASES = {
    "sample averages": (EpsilonGreedyBandit(), by_hand.epsilon_greedy),
    "constant step": (EpsilonGreedyBandit(step_size=0.3, initial=5.0), by_hand.epsilon_greedy),
    "start kept": (EpsilonGreedyBandit(initial=5.0, initial_count=2.0), by_hand.epsilon_greedy),
    "ucb": (UCB(), by_hand.averages),
    "kl-ucb": (KLUCB(), by_hand.averages),
    "ucb-tuned": (UCBTuned(), by_hand.ucb_tuned),
    "thompson": (ThompsonSampling(prior_successes=0.5), by_hand.thompson),
    "gaussian-thompson": (GaussianThompson(noise=0.7, prior_mean=2.0, prior_spread=3.0), by_hand.gaussian_thompson),
    "gradient": (GradientBandit(step_size=0.4), by_hand.gradient),
    "gradient, eq. 2.12": (GradientBandit(step_size=0.4, inclusive=False), by_hand.gradient),
    "gradient, no baseline": (GradientBandit(step_size=0.4, baseline=False), by_hand.gradient),
    "exp3": (EXP3(mixing=0.3, low=-1.0, high=2.0), by_hand.exp3),
    "linucb": (LinUCB(ridge=2.0), by_hand.linucb),
    "linear-thompson": (LinearThompson(), by_hand.linear_thompson),
}


def begun(algorithm):
    contextual = isinstance(algorithm, LinUCB | LinearThompson)
    return algorithm.init(jax.random.key(0), Spec(Box((FEATURES,)) if contextual else Discrete(1), Discrete(ARMS)))


def random_pulls(seed, num_envs, length=1):
    """Pulls [length, num_envs], one of them padding where there are several."""
    draw = np.random.default_rng(seed)
    rows = (length, num_envs)
    weight = np.ones(rows, np.float32)
    if num_envs > 1:
        weight[0, seed % num_envs] = 0
    obs = draw.normal(size=(*rows, FEATURES)).astype(np.float32)
    action = draw.integers(2 if num_envs > 1 else ARMS, size=rows)  # the same arm often twice in a batch
    reward = draw.integers(2, size=rows).astype(np.float32)
    extras = {"probability": draw.uniform(0.1, 1, size=rows).astype(np.float32)}
    return Transition(obs, action, reward, np.zeros(rows), np.zeros(rows, bool), obs, extras, weight)


def one_by_one(batch):
    """(action, reward, weight, what else is known) of every pull, in the order they were made."""
    for i in np.ndindex(*batch.reward.shape):
        row = {"obs": batch.obs[i].astype(float), "probability": float(batch.extras["probability"][i])}
        yield batch.action[i], float(batch.reward[i]), batch.weight[i], row


def in_numpy(state):
    return {name: np.array(x, np.float64) for name, x in state._asdict().items()}


def assert_same(state, expected):
    for name, x in expected.items():
        np.testing.assert_allclose(getattr(state, name), x, rtol=2e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("num_envs", "length"), [(1, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("name", CASES)
def test_three_updates_are_those_of_the_paper(name, num_envs, length):
    algorithm, slow = CASES[name]
    state, expected = begun(algorithm), in_numpy(begun(algorithm))
    update = jax.jit(algorithm.update, compiler_options=QUICKLY)
    for seed in range(3):
        batch = random_pulls(seed, num_envs, length)
        state, metrics = update(state, batch, jax.random.key(seed))
        slow(algorithm, expected, list(one_by_one(batch)))
        assert_same(state, expected)
        counted = batch.reward[batch.weight > 0]
        np.testing.assert_allclose(metrics["reward"], counted.mean(), rtol=1e-6)


@pytest.mark.parametrize("name", ["constant step", "gradient"])
def test_the_order_of_pulls_matters_where_it_should(name):
    """The negative control of the test above: pulls learned from in the wrong order are seen."""
    algorithm, slow = CASES[name]
    expected = in_numpy(begun(algorithm))
    batch = random_pulls(1, 3)._replace(action=np.array([[0, 0, 0]]), reward=np.float32([[1, 0.3, 0]]))
    state, _ = algorithm.update(begun(algorithm), batch, jax.random.key(0))
    slow(algorithm, expected, list(one_by_one(batch))[::-1])
    with pytest.raises(AssertionError):
        assert_same(state, expected)


def test_rewards_between_0_and_1_are_tossed():
    """Agrawal & Goyal, 2012, algorithm 2: 0.3 is a success in three cases of ten, and always whole."""
    pulls = random_pulls(0, 1000)._replace(reward=np.full((1, 1000), 0.3, np.float32), weight=np.ones((1, 1000)))
    state, _ = ThompsonSampling().update(begun(ThompsonSampling()), pulls, jax.random.key(0))
    successes, failures = (float(x.sum()) - ARMS for x in state)
    assert successes + failures == 1000
    assert successes == int(successes)
    assert abs(successes - 300) < 4 * np.sqrt(1000 * 0.3 * 0.7)


def test_large_rewards_do_not_overflow_exp3():
    """A thousand pulls drawn with probability 1e-3 would grow a plain weight by e^50000."""
    algorithm = EXP3(mixing=0.5)
    batch = random_pulls(0, 1)._replace(
        reward=np.ones((1, 1), np.float32), extras={"probability": np.full((1, 1), 1e-3, np.float32)}
    )
    state = begun(algorithm)
    for _ in range(20):
        state, _ = algorithm.update(state, batch, jax.random.key(0))
    probabilities = algorithm.probabilities(state)
    assert bool(jnp.isfinite(state.log_weight).all())
    np.testing.assert_allclose(probabilities.max(), 0.5 + 0.5 / ARMS, rtol=1e-6)
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-6)


def test_spaces_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="LinUCB needs a Box of features; try ucb"):
        LinUCB().init(jax.random.key(0), Spec(Discrete(1), Discrete(3)))
    with pytest.raises(ValueError, match="LinearThompson needs a Box of features; try thompson"):
        LinearThompson().init(jax.random.key(0), Spec(Discrete(1), Discrete(3)))
    with pytest.raises(ValueError, match="action space"):
        UCB().init(jax.random.key(0), Spec(Discrete(1), Box((2,))))
