"""Runs side by side: the numbers by hand, and what the table leaves out."""

import math

import pytest
from made_up_runs import config, folder, rows_of, run

from bellmax.report import bootstrap_interval, compare, compare_rows

# Ten rows of ten episodes a seed: the last tenth of the episodes is the last row.
FINALS = [300.0, 400.0, 420.0, 500.0]
GOOD = {seed: [0.0] * 9 + [final] for seed, final in enumerate(FINALS)}
BAD = {seed: [0.0] * 9 + [final] for seed, final in enumerate([100.0, 310.0])}
MEANS = {0: [10.0, 50.0, 40.0], 1: [30.0, 50.0, 40.0]}


def test_the_numbers_by_hand():
    first, second = compare_rows([run(GOOD, MEANS), run(BAD)])
    assert first["scores"] == FINALS
    assert first["score"] == 410  # of four, one is cut at either end
    assert (first["low"], first["high"]) == bootstrap_interval(FINALS)
    assert (first["seeds"], first["scored"], first["steps"], first["least_steps"]) == (4, 4, 10_000, 10_000)
    assert (first["evaluation"], first["evaluation_step"]) == (50, 2000)
    assert first["time"] == 10_000 * 4 / 500
    assert first["steps_per_second"] == 500  # 4 x 10,000 steps in 80 seconds
    assert (first["improvement"], first["p_value"]) == (None, None)
    assert second["score"] == 205  # fewer than four: the mean
    assert second["improvement"] == 1 / 8  # of 2 x 4 pairs only 310 > 300
    # Pooled ranks of 100 and 310 are 1 and 3, sum 4, expected 2 x 7 / 2 = 7. Of 15 pairs of ranks, {1, 2}, {1, 3} are
    # as low and {5, 6}, {4, 6} as high.
    assert second["p_value"] == pytest.approx(4 / 15, abs=0.015)
    assert second["evaluation"] is None


def test_the_final_score_is_not_the_best_nor_the_mean():
    peaked = {0: [500.0] * 9 + [100.0]}
    assert compare_rows(run(peaked))[0]["score"] == 100


def test_the_best_evaluation_is_one_step_for_all_seeds():
    # Each seed by itself peaks at 90; together they are best at 2,000: (50 + 60) / 2.
    rows = compare_rows(run(GOOD, {0: [90.0, 50.0, 10.0], 1: [0.0, 60.0, 90.0]}))
    assert (rows[0]["evaluation"], rows[0]["evaluation_step"]) == (55, 2000)


def test_other_environments_are_not_compared():
    rows = compare_rows([run(GOOD), run(BAD, config=config("Acrobot-v1"))])
    assert rows[1]["improvement"] is None
    assert "better than first" not in compare([run(GOOD), run(BAD, config=config("Acrobot-v1"))])


def test_seeds_without_an_episode_are_told():
    text = compare(run({0: [None, None], 1: [1.0, 2.0], 2: [3.0, 4.0]}))
    assert "3.00 [2.00, 4.00] (2 of 3 seeds)" in text
    row = compare_rows(run({0: [None, None]}))[0]
    assert row["score"] is None
    assert "score" not in compare(run({0: [None, None]}))


def test_one_seed_has_no_interval():
    row = compare_rows(run({0: [1.0, 2.0]}))[0]
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])
    assert "[" not in compare(run({0: [1.0, 2.0]})).split("\n")[2]


def test_seeds_that_got_less_far_are_told():
    assert "2,000 to 10,000" in compare(run({0: [0.0] * 10, 1: [0.0] * 2}))


def test_the_table_as_text(tmp_path):
    good = folder(tmp_path, "good", GOOD, MEANS, config(learning_rate=1e-3))
    lines = compare([good, folder(tmp_path, "bad", BAD)]).split("\n")
    heading = (
        "run   algorithm  environment  settings               seeds   steps                 score  best evaluation"
    )
    assert lines[0] == f"{heading}  steps/s        time  better than first"
    assert lines[2].split("  ")[0] == "good"
    assert "learning_rate=0.001" in lines[2]
    assert "410.0 [300.0, 500.0]" in lines[2]
    assert "50.0 at 2,000" in lines[2]
    assert "1 min 20 s" in lines[2]
    assert "0.12 (p = 0.2" in lines[3]
    assert len({len(line) for line in lines[2:4]}) == 1
    assert lines[5].startswith("score: ")


def test_the_table_as_markdown_and_with_labels():
    lines = compare([run(GOOD), run(BAD)], labels=["tuned", "paper"], style="markdown").split("\n")
    assert lines[0].startswith(
        "| run | algorithm | environment | seeds | steps | score |"
    )  # nothing differs: no settings
    assert lines[2].startswith("| tuned | PPO | CartPole-v1 | 4 | 10,000 | 410.0 [")
    assert lines[3].startswith("| paper | ")


def test_plain_rows_and_a_run_that_has_not_begun(tmp_path):
    lines = compare([rows_of(GOOD), rows_of(BAD)]).split("\n")
    assert lines[0].startswith("run    seeds   steps")
    assert lines[2].startswith("run 1      4  10,000")
    begun = compare_rows(folder(tmp_path, "begun", {}, config=config() | {"seeds": [0, 1]}))[0]
    assert (begun["seeds"], begun["steps"], begun["score"], begun["time"]) == (2, 0, None, None)
    assert compare(folder(tmp_path, "again", {})).startswith("run")
