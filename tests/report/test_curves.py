"""Rows to curves, final scores and steps to a threshold: exact numbers."""

import numpy as np
import pytest

from bellmax.report import curve, final_score, seeds_of, steps_to_reach


def row(seed, step, score, episodes=1, **more):
    return {"seed": seed, "step": step, "score": score, "episodes": episodes, **more}


TWO = [row(0, 10, 1.0), row(1, 15, 5.0), row(0, 20, 2.0), row(1, 25, 6.0), row(0, 30, 3.0), row(1, 35, 7.0)]
N = np.nan


def test_seeds_are_aligned_on_every_step_that_has_a_row():
    steps, values = curve(TWO)
    np.testing.assert_array_equal(steps, [10, 15, 20, 25, 30, 35])
    assert steps.dtype.kind == "i"
    # Carried forward, exactly; seed 0 ended at 30, and speaks for the 10 steps that its rows are apart.
    np.testing.assert_array_equal(values, [[1, 1, 2, 2, 3, 3], [N, 5, 5, 6, 6, 7]])


def test_the_order_of_rows_does_not_matter_and_the_latest_of_a_step_counts():
    np.testing.assert_array_equal(curve(TWO[::-1])[1], curve(TWO)[1])
    again = [row(0, 10, 1.0), row(0, 20, 2.0), row(0, 20, 9.0)]
    np.testing.assert_array_equal(curve(again)[1], [[1, 9]])


def test_a_grid_of_ones_own():
    steps, values = curve(TWO, grid=[5, 10, 12.5, 34, 40, 41])
    np.testing.assert_array_equal(steps, [5, 10, 12.5, 34, 40, 41])
    np.testing.assert_array_equal(values, [[N, 1, 1, 3, 3, N], [N, N, N, 6, 7, 7]])


def test_a_seed_that_was_not_trained_so_far_is_unknown_there():
    rows = [row(0, s, 1.0) for s in (10, 20, 30, 40)] + [row(1, s, 2.0) for s in (10, 20)]
    np.testing.assert_array_equal(curve(rows)[1], [[1, 1, 1, 1], [2, 2, 2, N]])


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf")])
def test_no_value_is_carried_over_and_not_made_up(nothing):
    rows = [row(0, 1, nothing, 0), row(0, 2, 4.0), row(0, 3, nothing, 0), row(0, 4, 8.0), row(0, 5, nothing, 0)]
    np.testing.assert_array_equal(curve(rows)[1], [[N, 4, 4, 8, 8]])
    never = [row(1, 1, nothing, 0), row(1, 5, nothing, 0)]
    np.testing.assert_array_equal(curve(rows + never)[1], [[N, 4, 4, 8, 8], [N] * 5])


def test_metrics_that_some_rows_lack():
    rows = [row(0, 1, 1.0, kl=0.5), row(0, 2, 1.0), row(0, 3, 1.0, kl=0.25)]
    np.testing.assert_array_equal(curve(rows, "kl")[1], [[0.5, 0.5, 0.25]])
    with pytest.raises(TypeError, match=r"metric = 'scores'.*one number"):
        curve([row(0, 1, 1.0, scores=[1, 2])], "scores")
    with pytest.raises(TypeError, match=r"metric = 'name'"):
        curve([row(0, 1, 1.0, name="PPO")], "name")


def test_no_rows_give_empty_curves():
    steps, values = curve([])
    assert steps.shape == (0,)
    assert values.shape == (0, 0)
    assert final_score([]).shape == steps_to_reach([], 1).shape == (0,)


def test_a_window_counts_episodes_not_rows():
    rows = [row(0, 10, 1.0, 1), row(0, 20, 4.0, 3), row(0, 30, 8.0, 1), row(0, 40, None, 0), row(0, 50, 2.0, 1)]
    # The last 20 steps at 20 are the rows at 10 (not 0) and 20: (1 + 3 x 4) / 4; at 30: (3 x 4 + 8) / 4.
    np.testing.assert_allclose(curve(rows, window=20)[1], [[1, 13 / 4, 5, 5, 2]])
    np.testing.assert_allclose(curve(rows, window=1000)[1], [[1, 13 / 4, 21 / 5, 21 / 5, 23 / 6]])
    # Losses are means over updates: every row counts once.
    losses = [row(0, 10, 1.0, 1, kl=1.0), row(0, 20, 1.0, 3, kl=4.0)]
    np.testing.assert_allclose(curve(losses, "kl", window=20)[1], [[1, 2.5]])


def test_a_window_that_holds_one_row_is_no_window():
    rng = np.random.default_rng(0)
    rows = [row(seed, 8 * i, rng.normal() * 1e3, int(rng.integers(1, 9))) for seed in range(3) for i in range(1, 99)]
    np.testing.assert_allclose(curve(rows, window=8)[1], curve(rows)[1], atol=1e-8)


def test_final_score_weighs_episodes():
    # 100 episodes, the last 10 of them: 4 of 10 and 6 of 20.
    rows = [row(0, 1, 0.0, 90), row(0, 2, 10.0, 4), row(0, 3, 20.0, 6), row(0, 4, None, 0)]
    assert final_score(rows) == pytest.approx([(4 * 10 + 6 * 20) / 10])
    # The boundary cuts a row: 5 of the first row's episodes and the 5 of the second.
    assert final_score([row(0, 1, 4.0, 95), row(0, 2, 20.0, 5)]) == pytest.approx([12])
    # Control: the last 10 % of the rows, or of the steps, would be the last row alone: 20.
    assert final_score(rows, part=1.0) == pytest.approx([(4 * 10 + 6 * 20) / 100])


def test_final_score_of_few_episodes_and_of_none():
    rows = [row(0, 1, 3.0, 2), row(0, 2, 7.0, 1), row(1, 1, None, 0), row(2, 9, 5.0, 8)]
    np.testing.assert_array_equal(final_score(rows), [7, N, 5])  # a tenth of 3 episodes is still one
    with pytest.raises(ValueError, match=r"part = 0.*such as 0.1"):
        final_score(rows, part=0)


def test_steps_to_reach():
    rows = [
        {"seed": seed, "step": step, "mean": mean}
        for seed, means in {3: [100, 480, 470], 1: [475, 10, 500], 2: [0, 474.9, 300]}.items()
        for step, mean in zip((10, 20, 30), means)
    ]
    np.testing.assert_array_equal(steps_to_reach(rows, 475), [10, np.inf, 20])  # seeds 1, 2, 3
    np.testing.assert_array_equal(steps_to_reach(rows[::-1], 475), [10, np.inf, 20])
    np.testing.assert_array_equal(steps_to_reach(rows, 475, seeds=[3, 4, 1]), [20, np.inf, 10])
    assert np.median(steps_to_reach(rows, 475)) == 20
    np.testing.assert_array_equal(steps_to_reach(TWO, 3, metric="score"), [30, 15])


def test_rows_without_a_seed_are_one_run():
    assert seeds_of([{"step": 1}, {"step": 2, "seed": 4}]) == [0, 4]
    np.testing.assert_array_equal(curve([{"step": 1, "score": 2.0}, {"step": 2, "score": 3.0}])[1], [[2, 3]])
