"""Ways to explore: probabilities by hand, ties, masks, states in which nothing is legal, schedules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.exploration import (
    Boltzmann,
    CountBonus,
    EpsilonGreedy,
    UpperConfidence,
    best,
    evenly,
    expected,
    greedy,
)
from bellmax.maths.schedules import Linear

Q, COUNT, NOW = jnp.array([1.0, 3.0, 2.0, 3.0]), jnp.array([4.0, 9.0, 1.0, 2.0]), jnp.float32(0)
LEGAL = jnp.array([True, False, True, False])
NOTHING = jnp.zeros(4, bool)
WAYS = [EpsilonGreedy(0.2), Boltzmann(0.5), UpperConfidence(1.0), CountBonus(2.0)]


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_greedy_shares_between_ties_and_keeps_to_the_mask():
    close(greedy(Q), [0, 0.5, 0, 0.5])
    close(greedy(Q, LEGAL), [0, 0, 1, 0])  # an illegal action with a better value, or an equal one, gets nothing
    close(greedy(jnp.array([2.0, 2.0, 2.0, 5.0]), LEGAL), [0.5, 0, 0.5, 0])
    close(greedy(Q, NOTHING), np.zeros(4))


def test_the_best_value():
    close(best(Q), 3)
    close(best(Q, LEGAL), 2)
    close(best(-Q, NOTHING), 0)
    close(best(jnp.stack([Q, -Q]), jnp.stack([LEGAL, LEGAL])), [2, -1])


def test_evenly():
    close(evenly(Q), np.full(4, 0.25))
    close(evenly(Q, LEGAL), [0.5, 0, 0.5, 0])
    close(evenly(Q, NOTHING), np.zeros(4))


def test_epsilon_greedy():
    """0.2 spread over four is 0.05 each; the rest, 0.8, is halved between the two best."""
    close(EpsilonGreedy(0.2).probabilities(Q, COUNT, NOW), [0.05, 0.45, 0.05, 0.45])
    close(EpsilonGreedy(0.2).probabilities(Q, COUNT, NOW, LEGAL), [0.1, 0, 0.9, 0])
    falling = EpsilonGreedy(Linear(1.0, 0.0, 100.0))
    close(falling.probabilities(Q, COUNT, jnp.float32(50), LEGAL), [0.25, 0, 0.75, 0])


def test_boltzmann():
    e = np.exp([1.0, 3.0, 2.0, 3.0])
    close(Boltzmann(1.0).probabilities(Q, COUNT, NOW), e / e.sum())
    close(Boltzmann(0.5).probabilities(Q, COUNT, NOW, LEGAL), [1 / (1 + np.e**2), 0, np.e**2 / (1 + np.e**2), 0])
    close(Boltzmann(0.0).probabilities(Q, COUNT, NOW), [0, 0.5, 0, 0.5])  # cold is greedy, and no division by 0
    close(Boltzmann(1.0).probabilities(1000 * Q, COUNT, NOW), [0, 0.5, 0, 0.5])


def test_upper_confidence():
    """16 visits: widths sqrt(ln 16 / n) = 0.833, 0.555, 1.665, 1.177, so with c = 1 the sums are 1.8, 3.6, 3.7, 4.2."""
    close(UpperConfidence(1.0).probabilities(Q, COUNT, NOW), [0, 0, 0, 1])
    close(UpperConfidence(3.0).probabilities(Q, COUNT, NOW), [0, 0, 1, 0])  # 3.5, 4.7, 7.0, 6.5
    close(UpperConfidence(1.0).probabilities(Q, COUNT, NOW, LEGAL), [0, 0, 1, 0])
    untried = jnp.array([4.0, 0.0, 1.0, 0.0])
    close(UpperConfidence(1.0).probabilities(Q, untried, NOW), [0, 0.5, 0, 0.5])
    close(UpperConfidence(1.0).probabilities(Q, untried, NOW, LEGAL), [0, 0, 1, 0])
    close(UpperConfidence(1.0).probabilities(Q, jnp.zeros(4), NOW), np.full(4, 0.25))


def test_count_bonus():
    """Bonuses 2 / sqrt(n + 1) = 0.89, 0.63, 1.41, 1.15."""
    close(CountBonus(2.0).probabilities(Q, COUNT, NOW), [0, 0, 0, 1])
    close(CountBonus(2.0).probabilities(Q, COUNT, NOW, LEGAL), [0, 0, 1, 0])
    close(CountBonus(5.0).probabilities(Q, jnp.array([0.0, 99.0, 99.0, 99.0]), NOW), [1, 0, 0, 0])


@pytest.mark.parametrize("way", WAYS, ids=lambda way: type(way).__name__)
def test_probabilities_sum_to_one_or_nothing_is_legal(way):
    draw = np.random.default_rng(0)
    for _ in range(20):
        q, count = jnp.array(draw.normal(size=4), jnp.float32), jnp.array(draw.integers(0, 5, 4), jnp.float32)
        legal = jnp.array(draw.random(4) < 0.5).at[1].set(True)
        p = np.asarray(way.probabilities(q, count, NOW, legal))
        assert abs(p.sum() - 1) < 1e-6
        assert (p >= 0).all()
        assert (p[~np.asarray(legal)] == 0).all()
    close(way.probabilities(Q, COUNT, NOW, NOTHING), np.zeros(4))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: type(way).__name__)
def test_what_many_states_expect(way):
    q, count, legal = jnp.stack([Q, -Q, Q]), jnp.stack([COUNT] * 3), jnp.stack([LEGAL, ~LEGAL, NOTHING])
    each = [float((way.probabilities(*row) * row[0]).sum()) for row in zip(q, count, [NOW] * 3, legal)]
    close(expected(way, q, count, NOW, legal), each)
    assert each[2] == 0
    close(expected(way, q, count, NOW), [float((way.probabilities(x, COUNT, NOW) * x).sum()) for x in q])


def test_what_epsilon_greedy_expects_by_hand():
    """0.05 x (1 + 2) + 0.45 x (3 + 3) = 2.85."""
    close(expected(EpsilonGreedy(0.2), Q[None], COUNT[None], NOW), [2.85])


def test_strengths_are_traced():
    traces = []

    @jax.jit
    def probabilities(way):
        traces.append(way)
        return way.probabilities(Q, COUNT, NOW)

    for epsilon in (0.1, 0.2):
        probabilities(EpsilonGreedy(epsilon))
    assert len(traces) == 1


def test_bad_strengths_are_named():
    with pytest.raises(ValueError, match=r"EpsilonGreedy.epsilon = -0.1: it must be at least 0"):
        EpsilonGreedy(-0.1)
    with pytest.raises(ValueError, match=r"CountBonus.bonus = -1"):
        CountBonus(-1.0)
