"""Numbers as people read them, tables that line up, curves in a line of text."""

import numpy as np
import pytest

from bellmax.report import sparkline, wording


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0.0"),
        (0.01234, "0.0123"),
        (1.234, "1.23"),
        (-12.34, "-12.3"),
        (497.24, "497.2"),
        (12345.6, "12,346"),
        (-1e6, "-1,000,000"),
        (1e-7, "1e-07"),
        (np.inf, "never"),
        (np.nan, "-"),
    ],
)
def test_figures(number, text):
    assert wording.figure(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.05, "0.05"),
        (500, "500"),
        (2500, "2,500"),
        (20_000, "20k"),
        (12_500, "12.5k"),
        (1_500_000, "1.5M"),
        (-1600, "\N{MINUS SIGN}1,600"),
        (-20_000, "\N{MINUS SIGN}20k"),
        (2e9, "2G"),
    ],
)
def test_ticks(number, text):
    assert wording.short(number) == text


def test_ticks_of_one_axis_have_one_unit():
    assert [wording.short(x, 20_000) for x in (0, 500, 2500, 20_000)] == ["0", "500", "2.5k", "20k"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (4.21, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds, text):
    assert wording.duration(seconds) == text


def test_intervals():
    assert wording.interval(497.24, 480.1, 500) == "497.2 [480.1, 500.0]"
    assert wording.interval(-1234.5, np.nan, np.nan) == "-1,234"


def test_cells():
    values = [None, True, 12_000, np.int64(7), 0.5, np.float32(0.5), (1, 2.5), "a|b"]
    assert [wording.cell(x) for x in values] == ["-", "yes", "12,000", "7", "0.5", "0.5", "[1, 2.50]", "a|b"]


def test_a_table_lines_up_with_numbers_to_the_right():
    text = wording.aligned(["run", "steps"], [["ppo", "5"], ["reinforce", "-1,000"]])
    assert text.split("\n") == [
        "run         steps",
        "---------  ------",
        "ppo             5",
        "reinforce  -1,000",
    ]


def test_a_markdown_table_escapes_bars():
    text = wording.markdown(["run", "steps"], [["a|b", "5"]])
    assert text.split("\n") == ["| run | steps |", "| --- | ---: |", "| a\\|b | 5 |"]


def test_sparkline_by_hand():
    assert sparkline(range(8), 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 1], 20) == "▁█"
    assert sparkline([-3, -1, -2], 20) == "▁█▅"  # halfway up is the fifth of eight
    assert sparkline([0, 2, 4, 6], 2) == "▁█"  # 1 and 5
    assert sparkline([0, 0, 0, 8, 0, 0], 3) == "▁█▁"  # means 0, 4, 0


def test_sparkline_of_what_is_missing():
    assert sparkline([None, 1, float("nan"), 2, float("inf")], 20) == " ▁ █ "
    assert sparkline([None, 1, 3, None], 2) == "▁█"  # a part is the mean of what is known
    assert sparkline([], 5) == ""
    assert sparkline([None, None], 5) == "  "
    assert sparkline([7.0, 7.0, None], 5) == "▄▄ "
    assert len(sparkline(np.arange(1000), 13)) == 13
    with pytest.raises(ValueError, match="width = 0"):
        sparkline([1], 0)
