"""Judges and best-of-n: order cancels, and the estimator is the mean over all subsets."""

import itertools
import math
import time

import numpy as np
import pytest

from bellmax.language.best_of import best_of, chances, expected_of_best, kl_of_best
from bellmax.language.judging import label

PAIRS = [
    {"prompt": "p", "a": "good", "b": "bad", "source": 1},
    {"prompt": "q", "a": "bad", "b": "good", "source": 2},
    {"prompt": "r", "a": "bad", "b": "bad", "source": 3},
]


def fair(prompt, a, b, principle):
    """1/2 plus a quarter for each way in which a is better."""
    return 0.5 + 0.25 * ((a == "good") - (b == "good"))


def test_pairs_become_preferences():
    got = label(PAIRS, fair, ["be kind"])
    assert got.rows == [
        {"prompt": "p", "chosen": "good", "rejected": "bad", "margin": 0.5, "source": 1},
        {"prompt": "q", "chosen": "good", "rejected": "bad", "margin": 0.5, "source": 2},
    ]
    assert got.undecided == [2]
    assert got.failed == []
    assert got.first == 0.5
    assert got.complaint is None


def test_a_judge_that_takes_what_comes_first_decides_nothing():
    got = label(PAIRS, lambda prompt, a, b, principle: True, ["be kind", "be brief"])
    assert got.rows == []
    assert got.undecided == [0, 1, 2]
    assert got.first == 1.0


def test_position_bias_cancels():
    """What is shown first gets .2 more: both orders together say what the fair judge says."""
    got = label(PAIRS, lambda *question: fair(*question) + 0.2, ["be kind"])
    assert [row["chosen"] for row in got.rows] == ["good", "good"]
    assert [row["margin"] for row in got.rows] == pytest.approx([0.5, 0.5])
    assert got.first == pytest.approx(0.7)
    one_order = [fair(p["prompt"], p["a"], p["b"], "") + 0.2 for p in PAIRS]
    assert one_order[2] > 0.5, "one order alone would decide between two answers that are the same"


def test_principles_are_averaged():
    def judge(prompt, a, b, principle):
        likes = {"kind": "good", "short": "bad"}[principle]
        return {"kind": 1.0, "short": 0.8}[principle] if a == likes else {"kind": 0.0, "short": 0.2}[principle]

    # p(good better) is 1 by the first and .2 by the second principle: .6 in the mean, so a margin of .2
    got = label(PAIRS[:2], judge, ["kind", "short"])
    assert [row["chosen"] for row in got.rows] == ["good", "good"]
    assert [row["margin"] for row in got.rows] == pytest.approx([0.2, 0.2])
    assert label(PAIRS[:2], judge, ["kind", "short"], least=0.25).undecided == [0, 1]
    assert [row["chosen"] for row in label(PAIRS[:2], judge, ["short"]).rows] == ["bad", "bad"]


def test_what_goes_wrong_is_left_out_and_said():
    async def judge(prompt, a, b, principle):
        if prompt == "q":
            raise RuntimeError("rate limit")
        return 2.0 if prompt == "r" else fair(prompt, a, b, principle)

    got = label(PAIRS, judge, ["be kind"])
    assert [row["source"] for row in got.rows] == [1]
    assert got.failed == [1, 2]
    assert got.complaint == "the judge failed 4 times, first with RuntimeError: rate limit"
    late = label(PAIRS[:1], lambda *question: time.sleep(2), ["be kind"], timeout=0.05)
    assert late.failed == [0]
    assert math.isnan(late.first)


def test_judging_is_checked_before_anybody_is_asked():
    with pytest.raises(ValueError, match="at least one sentence"):
        label(PAIRS, fair, [])
    with pytest.raises(ValueError, match="at least one sentence"):
        label(PAIRS, fair, "be kind")
    with pytest.raises(ValueError, match="pair 0 has no 'b'"):
        label([{"prompt": "p", "a": "x"}], fair, ["be kind"])
    with pytest.raises(ValueError, match="least = 1"):
        label(PAIRS, fair, ["be kind"], least=1)


def test_the_best_of_each_group():
    np.testing.assert_array_equal(best_of([1, 3, 2, 5, 5, 0], 3), [1, 3])
    np.testing.assert_array_equal(best_of([1, 3], 1), [0, 1])
    with pytest.raises(ValueError, match="group = 4: it must divide"):
        best_of([1, 2, 3, 4, 5, 6], 4)
    with pytest.raises(ValueError, match="row 1 is NaN"):
        best_of([1, float("nan")], 2)


def test_the_kl_of_best_of_n():
    """Best of n has the density n F^(n-1) in the quantile F: KL = integral of n u^(n-1) log(n u^(n-1)) du."""
    u = (np.arange(200_000) + 0.5) / 200_000
    for n in (1, 2, 5, 64):
        density = n * u ** (n - 1)
        assert kl_of_best(n) == pytest.approx(np.mean(density * np.log(np.maximum(density, 1e-300))), abs=1e-4)
    assert kl_of_best(1) == 0


@pytest.mark.parametrize("k", range(1, 8))
def test_the_estimator_is_the_mean_over_all_subsets(k):
    draw = np.random.default_rng(k)
    reward, gold = draw.normal(size=7), draw.normal(size=7)
    subsets = [gold[max(chosen, key=lambda i: reward[i])] for chosen in itertools.combinations(range(7), k)]
    assert expected_of_best(reward, gold, k) == pytest.approx(np.mean(subsets))
    assert chances(7, k).sum() == pytest.approx(1)


@pytest.mark.parametrize("k", range(1, 7))
def test_ties_share_their_chances(k):
    reward, gold = np.array([1.0, 0.0, 1.0, 2.0, 1.0, 2.0]), np.array([4.0, -1.0, 7.0, 3.0, 0.5, 9.0])

    def best(chosen):
        top = max(reward[i] for i in chosen)
        return np.mean([gold[i] for i in chosen if reward[i] == top])

    subsets = [best(chosen) for chosen in itertools.combinations(range(6), k)]
    assert expected_of_best(reward, gold, k) == pytest.approx(np.mean(subsets))


def test_the_estimator_is_unbiased_for_the_population():
    """Answers 0..4 with known chances: the exact expectation of best-of-3, against the mean of estimates from 6."""
    draw = np.random.default_rng(0)
    chance, gold = np.array([0.4, 0.3, 0.15, 0.1, 0.05]), np.array([0.0, 2.0, 1.0, 5.0, -4.0])
    upto = np.cumsum(chance)
    exact = np.sum((upto**3 - (upto - chance) ** 3) * gold)
    answers = draw.choice(5, size=(20_000, 6), p=chance)
    estimates = expected_of_best(answers, gold[answers], 3)
    assert estimates.shape == (20_000,)
    assert abs(estimates.mean() - exact) < 4 * estimates.std() / 20_000**0.5
    naive = gold[answers.max(1)]
    assert abs(naive.mean() - exact) > 10 * naive.std() / 20_000**0.5, "best of 6 is something else"


def test_large_groups_do_not_overflow():
    assert chances(5_000, 2_500).sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="k = 5: it must be from 1 to the number of answers, 4"):
        expected_of_best(np.arange(4), np.arange(4), 5)
    with pytest.raises(ValueError, match="both must be"):
        expected_of_best(np.arange(4), np.arange(3), 1)
