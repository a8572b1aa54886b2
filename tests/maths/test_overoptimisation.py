"""The two forms of Gao, Schulman & Hilton (2023), with numbers by hand."""

import math

import numpy as np
import pytest

from bellmax.maths.overoptimisation import Fit, fit_overoptimisation, reward_at


def test_the_forms_by_hand():
    # best-of-n, a = 3, b = 1: 2 (3 - 2) = 2, 3 (3 - 3) = 0; RL, a = 3, b = 2: 1 (3 - 0) = 3, e (3 - 2) = e
    np.testing.assert_allclose(reward_at("best-of-n", [0, 1, 2, 3, 4], 3, 1), [0, 2, 2, 0, -4])
    np.testing.assert_allclose(reward_at("rl", [0, 1, math.e], 3, 2), [0, 3, math.e])


def test_the_peaks_by_hand():
    # R' = 3 - 2 d is 0 at 1.5, where R = 1.5 * 1.5 = 2.25; R' = 4 - 2 ln d - 2 is 0 at e, where R = e (4 - 2) = 2e
    assert Fit("best-of-n", 3, 1, 1).peak == (1.5, 2.25)
    assert Fit("rl", 4, 2, 1).peak == pytest.approx((math.e, 2 * math.e))
    for form in ("best-of-n", "rl"):
        fit = Fit(form, 2.0, 0.7, 1)
        d = np.linspace(0, 8, 80_001)
        assert fit.peak == pytest.approx((d[fit(d).argmax()], fit(d).max()), abs=1e-3)
        assert Fit(form, 2.0, 0.0, 1).peak == (math.inf, math.inf), "it never falls"
        assert Fit(form, 2.0, -0.1, 1).peak == (math.inf, math.inf)
    assert Fit("best-of-n", -1, 1, 1).peak == (0, 0), "it never rises"


@pytest.mark.parametrize("form", ["best-of-n", "rl"])
def test_a_curve_of_the_form_gives_its_a_and_b_back(form):
    d = np.linspace(0, 3, 20)
    fit = fit_overoptimisation(form, d, reward_at(form, d, 2.5, -0.4))
    assert (fit.a, fit.b, fit.r_squared) == pytest.approx((2.5, -0.4, 1))
    other = fit_overoptimisation("rl" if form == "best-of-n" else "best-of-n", d, reward_at(form, d, 2.5, 1.4))
    assert other.r_squared < 0.99, "and the other form does not"


def test_least_squares_by_hand():
    # d = 1, 2, 1 and R = 1, 0, 3. Best-of-n, with x = d and y = -d^2: sums xx 6, xy -10, yy 18, xR 4, yR -4, so
    # 6 a - 10 b = 4 and -10 a + 18 b = -4: a = (4 * 18 - 40) / 8 = 4, b = (-24 + 40) / 8 = 2. R = 2, 0, 2 leaves
    # -1, 0, 1: 2 of the squared deviations from the mean 4/3, which are (1 + 16 + 25) / 9 = 42 / 9: 1 - 18 / 42.
    fit = fit_overoptimisation("best-of-n", [1, 2, 1], [1, 0, 3])
    assert fit[1:] == pytest.approx((4, 2, 24 / 42))
    # RL at d = 1 and e: at 1 only a counts, (1 + 3) / 2 = 2; at e, e (2 - b) = e gives b = 1; the same 2 is left over
    fit = fit_overoptimisation("rl", [1, math.e, 1], [1, math.e, 3])
    spread = np.square(np.array([1, math.e, 3]) - (4 + math.e) / 3).sum()
    assert fit[1:] == pytest.approx((2, 1, 1 - 2 / spread))


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="n at least 3"):
        fit_overoptimisation("rl", [1, 2], [1, 2])
    with pytest.raises(ValueError, match="at least 0"):
        fit_overoptimisation("rl", [1, -2, 3], [1, 2, 3])
    with pytest.raises(ValueError, match="tell a from b"):
        fit_overoptimisation("best-of-n", [0, 1, 1], [0, 2, 3])
    with pytest.raises(ValueError, match="choose 'best-of-n' or 'rl'"):
        fit_overoptimisation("ppo", [1, 2, 3], [1, 2, 3])
