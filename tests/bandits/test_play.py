"""`play` counts regret right, and what is known of it holds: greed and fixed epsilon pay linearly, UCB like log."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.bandits.epsilon_greedy import EpsilonGreedyBandit
from bellmax.algorithms.bandits.exp3 import EXP3
from bellmax.algorithms.bandits.gradient_bandit import GradientBandit
from bellmax.algorithms.bandits.kl_ucb import KLUCB
from bellmax.algorithms.bandits.linear_thompson import LinearThompson
from bellmax.algorithms.bandits.linucb import LinUCB
from bellmax.algorithms.bandits.thompson import ThompsonSampling
from bellmax.algorithms.bandits.ucb import UCB
from bellmax.core import Algorithm, Decision
from bellmax.drivers.bandit import play
from bellmax.envs.bandit_adversarial import AdversarialBandit
from bellmax.envs.bandit_contextual import ContextualBandit
from bellmax.envs.bandits import BernoulliBandit, GaussianBandit
from bellmax.envs.random_walk import RandomWalk
from bellmax.experience import Steps
from tests.learning.quick import QUICKLY

COINS = BernoulliBandit(probabilities=(0.2, 0.7, 0.5))


class Always(Algorithm):
    """One arm for ever; counts its pulls."""

    experience: Steps = Steps(1)
    arm: int = 0

    def init(self, key, spec):
        return jnp.zeros(spec.action.n)

    def act(self, state, obs, key, memory=None):
        return Decision(jnp.int32(self.arm))

    def update(self, state, batch, key):
        assert batch.reward.shape == (1, 1)
        return state + jax.nn.one_hot(batch.action[0, 0], state.shape[0]), {"reward": batch.reward.mean()}


def played(algorithm, env, steps=300, problems=200, seed=0):
    run = lambda key: play(algorithm, env, key, steps=steps, problems=problems)
    return jax.jit(run, compiler_options=QUICKLY)(jax.random.key(seed))


@pytest.mark.parametrize(("arm", "gap"), [(0, 0.5), (1, 0.0), (2, 0.2)])
def test_regret_of_one_arm_for_ever_is_its_gap(arm, gap):
    result = played(Always(arm=arm), COINS)
    np.testing.assert_allclose(result.regret, gap * np.arange(1, 301), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(result.optimal, float(gap == 0))
    np.testing.assert_allclose(result.regret_error, 0, atol=1e-4)
    np.testing.assert_array_equal(result.state[:, arm], 300)
    paid = np.cumsum(result.reward)
    np.testing.assert_allclose(result.realised_regret, 0.7 * np.arange(1, 301) - paid, rtol=1e-4, atol=1e-3)
    error = np.sqrt(0.25 * 300 / 200)
    assert abs(result.realised_regret[-1] - result.regret[-1]) < 4.5 * error


def test_regret_of_random_pulls_is_the_mean_gap():
    """Gaps .5, 0 and .2: 7/30 a pull; the error is that of 300 pulls with the deviation of the gaps."""
    result = played(EpsilonGreedyBandit(epsilon=1.0), COINS, problems=500)
    gaps = np.asarray([0.5, 0, 0.2])
    error = gaps.std() * np.sqrt(300 / 500)
    assert abs(result.regret[-1] - 300 * gaps.mean()) < 4.5 * error
    assert float(result.regret_error[-1]) == pytest.approx(error, rel=0.15)
    assert abs(result.optimal.mean() - 1 / 3) < 0.01


def test_posterior_counts_are_the_pulls():
    result = played(ThompsonSampling(), COINS, steps=200, problems=20)
    successes, failures = result.state
    np.testing.assert_allclose((successes + failures).sum(1), 200 + 2 * 3)  # and the prior
    np.testing.assert_allclose((successes - 1).sum(), result.reward.sum() * 20, rtol=1e-5)


def test_every_arm_is_pulled_once_first():
    for algorithm in (UCB(), KLUCB()):
        result = played(algorithm, BernoulliBandit(arms=7), steps=7, problems=50)
        np.testing.assert_array_equal(result.state.count, 1)
    assert not bool((played(EpsilonGreedyBandit(), BernoulliBandit(arms=7), 7, 50).state.count == 1).all())


def growth(result):
    """Regret of the last half of the run over that of the half before; 2 times as long: 1 is linear, log less."""
    quarter, half, end = (float(result.regret[len(result.regret) * k // 4 - 1]) for k in (1, 2, 4))
    return (end - half) / 2 / (half - quarter)


def test_fixed_epsilon_pays_linearly_and_ucb_like_log():
    """Regret from T/2 to T over twice that from T/4 to T/2: 1 where linear; ln 2 / (2 ln 2) = 1/2 where logarithmic."""
    env = BernoulliBandit(probabilities=(0.2, 0.8))
    fixed, ucb, decaying = (
        played(algorithm, env, steps=4000, problems=200)
        for algorithm in (EpsilonGreedyBandit(epsilon=0.2), UCB(c=2**0.5), EpsilonGreedyBandit(epsilon=10.0, decay=1.0))
    )
    assert growth(fixed) == pytest.approx(1, abs=0.1)
    assert growth(ucb) == pytest.approx(0.5, abs=0.12)
    assert growth(decaying) == pytest.approx(0.5, abs=0.12)
    # epsilon-greedy pays epsilon / 2 x gap a pull in the long run: 0.06
    assert (fixed.regret[-1] - fixed.regret[1999]) / 2000 == pytest.approx(0.06, rel=0.05)


def test_greed_falls_into_the_trap_and_exp3_does_not():
    env = AdversarialBandit(arms=3, switch=50)
    greedy, exp3 = (
        played(algorithm, env, steps=1500, problems=100)
        for algorithm in (EpsilonGreedyBandit(epsilon=0.0), EXP3(mixing=0.2))
    )
    assert float(greedy.optimal[-1]) < 0.05
    assert greedy.regret[-1] - greedy.regret[499] == pytest.approx(500, rel=0.05)  # half a reward a pull, for ever
    assert float(exp3.optimal[-200:].mean()) > 0.8


def test_contexts_are_used():
    env = ContextualBandit(arms=4, features=3)
    linucb, thompson, blind = (
        played(algorithm, env, steps=400, problems=50) for algorithm in (LinUCB(), LinearThompson(scale=0.2), UCB())
    )
    for result in (linucb, thompson):
        assert result.regret[-1] < 0.25 * blind.regret[-1]
        assert float(result.optimal[-50:].mean()) > 0.85
    assert float(blind.optimal[-50:].mean()) < 0.35


def test_the_best_arm_is_found_in_most_problems():
    for algorithm in (GradientBandit(), EpsilonGreedyBandit(step_size=0.1, initial=5.0, epsilon=0.0)):
        assert float(played(algorithm, GaussianBandit(arms=4), 400, 200).optimal[-20:].mean()) > 0.8
    assert float(played(Always(), GaussianBandit(arms=4), 400, 200).optimal.mean()) < 0.35


def test_play_is_a_function_of_its_key_and_maps():
    one = lambda key: play(UCB(), GaussianBandit(), key, steps=20, problems=10)
    keys = jax.random.split(jax.random.key(3), 2)
    together, alone = jax.jit(jax.vmap(one))(keys), jax.jit(one)(keys[1])
    np.testing.assert_allclose(together.regret[1], alone.regret, rtol=1e-5)
    assert not np.allclose(together.regret[0], together.regret[1])


def test_what_cannot_be_played_is_refused():
    with pytest.raises(ValueError, match="RandomWalk has no `means`"):
        play(UCB(), RandomWalk(), jax.random.key(0))
    with pytest.raises(ValueError, match=r"UCB.experience = Steps\(length=2\).*give Steps\(1\)"):
        play(UCB(experience=Steps(2)), COINS, jax.random.key(0))
