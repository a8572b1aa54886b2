"""Inter-quartile means, bootstrap intervals and probabilities of improvement, by hand and by their coverage."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

from bellmax.report import bootstrap_band, bootstrap_interval, iqm, permutation_p_value, probability_of_improvement


def test_iqm_by_hand():
    assert iqm(range(1, 9)) == 4.5  # 8 / 4 = 2 cut at either end: the mean of 3, 4, 5, 6
    assert iqm([100, 0, 1, 2, 3]) == 2  # int(5 / 4) = 1: the mean of 1, 2, 3
    assert iqm([1, 2, 6]) == 3  # int(3 / 4) = 0: the mean
    assert iqm([7]) == 7
    # int(7 / 4) = 1: (0 + 3 + 3 + 3 + 9) / 5 = 3.6. Rounding 1.75 to 2 would give 3.
    assert iqm([0, 0, 3, 3, 3, 9, 100]) == pytest.approx(3.6)
    assert iqm([1.0, np.inf, 3.0, -np.inf]) == 2  # an outlier at either end does not move it, however far


@pytest.mark.parametrize("n", [*range(1, 14), 99, 100])
def test_iqm_is_the_trimmed_mean_of_the_papers_code(n):
    x = np.random.default_rng(n).normal(size=n)
    assert iqm(x) == pytest.approx(trim_mean(x, 0.25), abs=1e-12)
    assert n < 4 or iqm(x) != pytest.approx(x.mean(), abs=1e-12)  # control: not the mean
    assert iqm(x.reshape(1, n, 1)) == pytest.approx(iqm(x))  # together, whatever the axes


def test_iqm_along_an_axis():
    x = np.array([[0, 1, 2, 3], [10, 20, 30, 100], [5, 5, 5, 5]])
    np.testing.assert_allclose(iqm(x, axis=1), [1.5, 25, 5])
    np.testing.assert_allclose(iqm(x.T, axis=0), [1.5, 25, 5])


def test_nan_is_an_answer_unless_it_is_to_be_skipped():
    x = np.array([[1, 2, np.nan, 4, 3], [1, 1, 1, 1, 1], [np.nan] * 5])
    np.testing.assert_array_equal(iqm(x, axis=1), [np.nan, 1, np.nan])
    np.testing.assert_array_equal(iqm(x, axis=1, skip_nan=True), [2.5, 1, np.nan])  # of 4 known: the mean of 2 and 3
    assert np.isnan(iqm([0, 1, 2, 3, 4, np.nan]))  # sorted, it would be cut off as the highest
    with pytest.raises(ValueError, match="no scores"):
        iqm([])


def test_interval_by_hand():
    # Two seeds, 0 and 1: the mean of a resample is 0, 1/2, 1 with probability 1/4, 1/2, 1/4.
    # The middle 40 % lie between the quantiles .3 and .7, both 1/2; the middle 60 % between .2 and .8: 0 and 1.
    assert bootstrap_interval([0, 1], np.mean, level=0.4) == (0.5, 0.5)
    assert bootstrap_interval([0, 1], np.mean, level=0.6) == (0, 1)


def test_interval_is_stratified():
    # Every task by itself knows no doubt, so there is none about the mean over tasks.
    assert bootstrap_interval([[0, 10], [0, 10]], np.mean) == (5, 5)
    assert bootstrap_interval([0, 10, 0, 10], np.mean) == (0, 10)  # control: were it one task of four seeds
    # Tasks are resampled independently: with scores (0, 1) in two tasks the mean is 0, 1/4, .. with probability
    # 1/16, 4/16, ..; the quantile .15 is 1/4. Drawing whole rows would give 0 with probability 1/4.
    assert bootstrap_interval([[0, 0], [1, 1]], np.mean, level=0.7) == (0.25, 0.75)


def test_interval_of_the_same_seed_is_the_same():
    x = np.random.default_rng(0).normal(size=9)
    assert bootstrap_interval(x, seed=1) == bootstrap_interval(x, seed=1)
    assert bootstrap_interval(x, seed=1) != bootstrap_interval(x, seed=2)
    assert bootstrap_interval(x * 3 + 1, seed=1) == pytest.approx(np.array(bootstrap_interval(x, seed=1)) * 3 + 1)


def test_interval_says_nothing_where_nothing_is_known():
    assert np.isnan(bootstrap_interval([3.0])).all()
    assert np.isnan(bootstrap_interval([3.0, np.nan, 4.0])).all()
    with pytest.raises(ValueError, match="at least one score"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match=r"level = 95.*between 0 and 1"):
        bootstrap_interval([1, 2], level=95)
    with pytest.raises(ValueError, match="resamples = 0"):
        bootstrap_interval([1, 2], resamples=0)


@pytest.mark.parametrize(
    ("seeds", "level", "least", "most"),
    [(20, 0.95, 0.91, 0.98), (20, 0.5, 0.42, 0.56), (3, 0.95, 0.66, 0.82)],
    ids=["as asked", "half", "too few seeds: the docstring warns"],
)
def test_coverage(seeds, level, least, most):
    """How often the interval holds the true IQM, 0 by symmetry. 400 trials: a standard error of 0.025 at the most."""
    rng = np.random.default_rng(1)
    ends = [bootstrap_interval(rng.normal(size=seeds), level=level, resamples=400, seed=i) for i in range(400)]
    covered = np.mean([low <= 0 <= high for low, high in ends])
    assert least < covered < most


def test_a_large_bootstrap_in_pieces_is_as_wide(monkeypatch):
    x = np.random.default_rng(0).normal(size=(12, 3))
    whole = bootstrap_interval(x, resamples=4000)
    monkeypatch.setattr("bellmax.report.statistics._MOST_NUMBERS", 500)
    np.testing.assert_allclose(bootstrap_interval(x, resamples=4000), whole, atol=0.03)


def test_band_draws_whole_curves():
    x = np.random.default_rng(0).normal(size=8)
    curves = np.stack([x, x + 5, -x, np.full(8, 2.0)], 1)  # [seed, point]
    low, high = bootstrap_band(curves)
    assert (low[1], high[1]) == pytest.approx((low[0] + 5, high[0] + 5))  # the same seeds drawn at every point
    assert (low[2], high[2]) == pytest.approx((-high[0], -low[0]))
    assert low[3] == high[3] == 2
    np.testing.assert_allclose([low[0], high[0]], bootstrap_interval(x), atol=0.05)


def test_band_in_pieces_is_the_same_band(monkeypatch):
    curves = np.random.default_rng(0).normal(size=(6, 17))
    whole = bootstrap_band(curves, resamples=50)
    monkeypatch.setattr("bellmax.report.statistics._MOST_NUMBERS", 6 * 50 * 5)
    np.testing.assert_array_equal(bootstrap_band(curves, resamples=50), whole)


def test_band_is_unknown_where_a_seed_is():
    low, high = bootstrap_band([[np.nan, 1, 2], [0, 1, 4]])
    np.testing.assert_array_equal(np.isnan(low), [True, False, False])
    np.testing.assert_array_equal(np.isnan(high), [True, False, False])
    assert np.isnan(bootstrap_band([[1.0, 2.0]])).all()  # one seed
    assert np.shape(bootstrap_band(np.empty((0, 4)))) == (2, 4)
    with pytest.raises(ValueError, match=r"\[seed, point\]"):
        bootstrap_band([1, 2])


def test_probability_of_improvement_by_hand():
    assert probability_of_improvement([3, 4], [1, 3]) == 3.5 / 4  # 3 > 1, 3 = 3, 4 > 1, 4 > 3
    assert probability_of_improvement([1, 3], [3, 4]) == 0.5 / 4
    assert probability_of_improvement([1, 2, 3], [2, 2]) == 0.5
    assert probability_of_improvement([5], [1, 2, 3]) == 1
    # Two tasks: 1 in the first, 0 in the second.
    assert probability_of_improvement([[2, 0], [3, 0]], [[1, 1]]) == 0.5
    assert np.isnan(probability_of_improvement([1, np.nan], [1]))
    with pytest.raises(ValueError, match="same tasks"):
        probability_of_improvement([[1, 2]], [1])


def test_probability_of_improvement_is_mann_whitneys_u():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 13), rng.integers(2, 11, 7)
    assert probability_of_improvement(x, y) == pytest.approx(mannwhitneyu(x, y).statistic / (13 * 7))


def test_p_value_by_hand():
    near = {"abs": 0.015}  # 10,000 shuffles: a standard error of 0.005
    assert permutation_p_value([1, 2, 3], [4, 5, 6]) == pytest.approx(2 / 20, **near)  # of C(6, 3), this and its mirror
    assert permutation_p_value([0, 1], [2, 3]) == pytest.approx(2 / 6, **near)
    # Ties: mid-ranks 1, 2.5 | 2.5, 4 add up to 3.5 for x, 1.5 from the middle 5. So do 4 of the 6 choices of two.
    assert permutation_p_value([0, 1], [1, 2]) == pytest.approx(4 / 6, **near)
    assert permutation_p_value([1, 1], [1, 1, 1]) == 1
    assert permutation_p_value(range(20), range(20, 40)) == 1 / 10_001  # never 0
    assert np.isnan(permutation_p_value([np.nan], [1]))
    with pytest.raises(ValueError, match="at least one each"):
        permutation_p_value([], [1])


def test_p_value_is_uniform_where_nothing_differs():
    rng = np.random.default_rng(3)
    p = [permutation_p_value(*rng.normal(size=(2, 6)), resamples=300, seed=i) for i in range(300)]
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.09
    assert 0.4 < np.mean(np.array(p) <= 0.5) < 0.6
