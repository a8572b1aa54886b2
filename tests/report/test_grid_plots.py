"""What pictures of grids and curves show: every number, arrow and name that belongs there, and no other."""

import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_hex

from bellmax.report.canvas import PALETTE, look_of
from bellmax.report.grid_plots import _CLOSED, _DARK, _GOAL, _LIGHT, _OVER, Board, digits_of, direction, plot_grid
from bellmax.report.line_plots import Panel, plot_lines

NAMES = ("left", "down", "right", "up")


def board(**changes):
    """Two rows of three cells: S . x / # . G, with two arrows in the second cell."""
    chosen = np.zeros((6, 4), bool)
    chosen[0, 2] = chosen[1, 1] = chosen[1, 2] = chosen[4, 2] = True
    chosen[2] = chosen[3] = chosen[5] = True  # means nothing where an episode has ended or nobody comes
    facts = {
        "shape": (2, 3),
        "values": np.array([0.25, 0.5, 9.0, 9.0, 1.0, 9.0]),
        "chosen": chosen,
        "actions": NAMES,
        "over": np.array([False, False, True, False, False, True]),
        "closed": np.array([False, False, False, True, False, False]),
        "marks": ("S", "", "×", "", "", "G"),
    }
    return Board(**facts | changes)


def arrows(figure):
    """{name of the action: [(column and row of the tail, across, down), ...]}."""
    found = [x for x in figure.axes[0].collections if str(x.get_gid()).startswith("arrow ")]
    return {x.get_gid().removeprefix("arrow "): list(zip(map(tuple, x.XY), x.U, x.V)) for x in found}


def words(figure, kind):
    return {text.get_text(): text for text in figure.axes[0].texts if text.get_gid() == kind}


def cells(figure):
    (shown,) = figure.axes[0].images
    return [to_hex(colour) for colour in shown.get_array().reshape(-1, 4)]


def test_every_chosen_action_is_an_arrow_that_points_its_way():
    found = arrows(plot_grid(board()))
    assert {name: len(those) for name, those in found.items() if those} == {"down": 1, "right": 3}
    for name, those in found.items():
        down, across = direction(name)
        for (column, row), u, v in those:
            assert (np.sign(u), np.sign(v)) == (across, down)
            assert 0 <= round(column) <= 2
            assert 0 <= round(row) <= 1
    (tail, u, v) = found["down"][0]  # in a cell with two arrows both begin in the middle
    assert tail[0] == pytest.approx(1)
    single = next(arrow for arrow in found["right"] if round(arrow[0][1]) == 1)
    assert single[0][0] + single[1] / 2 == pytest.approx(1), "a single arrow is centred"


def test_values_are_numbers_and_colours_where_somebody_may_stand():
    figure = plot_grid(board())
    assert set(words(figure, "value")) == {"0.250", "0.500", "1.000"}
    colours = cells(figure)
    assert colours[2] == _OVER.lower()
    assert colours[3] == _CLOSED.lower()
    assert colours[5] == _GOAL.lower()
    light = [sum(int(colours[cell][place : place + 2], 16) for place in (1, 3, 5)) for cell in (0, 1, 4)]
    assert light[0] > light[1] > light[2], "the higher the darker"
    assert words(figure, "value")["0.250"].get_color() == _DARK
    assert words(figure, "value")["1.000"].get_color() == _LIGHT
    assert figure.axes[0].child_axes[0].get_ylim() == (0.25, 1.0), "the scale knows nothing of the other cells"
    assert figure.axes[0].child_axes[0].get_ylabel() == "value"


def test_starts_and_ends_are_marked_and_the_words_are_there():
    figure = plot_grid(board(), title="A world", caption="What it is.")
    assert set(words(figure, "mark")) == {"S", "×", "G"}
    assert figure.axes[0].get_title(loc="left") == "A world"
    assert figure.get_supxlabel() == "What it is."


def test_a_path_goes_from_cell_to_cell():
    figure = plot_grid(board(path=(0, 1, 4, 5)))
    (line,) = [line for line in figure.axes[0].lines if line.get_gid() == "path"]
    np.testing.assert_array_equal(line.get_xdata(), [0, 1, 1, 2])
    np.testing.assert_allclose(np.diff(line.get_ydata()), [0, 1, 0])
    assert not [line for line in plot_grid(board()).axes[0].lines if line.get_gid() == "path"]


def test_staying_is_a_dot_and_kings_move_askew():
    assert direction("up-right") == (-1, 1)
    assert direction("South_West") == (1, -1)
    assert direction("pick up") == direction("stay") == (0, 0)
    chosen = np.zeros((4, 2), bool)
    chosen[0, 0], chosen[3, 1] = True, True
    nowhere = np.zeros(4, bool)
    figure = plot_grid(Board((2, 2), np.arange(4.0), chosen, ("up-right", "stay"), nowhere, nowhere))
    ((_, u, v),) = arrows_of(figure, "up-right")
    assert u == pytest.approx(-v)
    assert u > 0
    (dot,) = [x for x in figure.axes[0].collections if x.get_gid() == "arrow stay"]
    assert dot.get_offsets().tolist() == [[1, 0.9]]


def arrows_of(figure, name):
    (found,) = [x for x in figure.axes[0].collections if x.get_gid() == f"arrow {name}"]
    return list(zip(map(tuple, found.XY), found.U, found.V))


def test_a_large_grid_has_no_numbers_and_a_huge_one_no_arrows():
    def square(side):
        chosen = np.zeros((side * side, 4), bool)
        chosen[:, 0] = True
        nowhere = np.zeros(side * side, bool)
        return plot_grid(Board((side, side), np.arange(side * side) / 7, chosen, NAMES, nowhere, nowhere))

    assert (len(words(square(14), "value")) > 0, len(arrows(square(14))["left"])) == (True, 14 * 14)
    assert (len(words(square(15), "value")), len(arrows(square(15))["left"])) == (0, 15 * 15)
    assert arrows(square(41)) == {}


def test_one_value_everywhere_or_none_is_drawn_too():
    assert len(words(plot_grid(board(values=np.zeros(6))), "value")) == 1
    assert words(plot_grid(board(values=np.full(6, np.nan))), "value") == {}


def test_digits_behind_the_point():
    numbers = (0.05, 0.542, 1.0, 1.5, -12.3, 123.0, 1e5)
    assert [digits_of(np.array([x, np.nan])) for x in numbers] == [3, 3, 3, 2, 1, 0, 0]


def test_files_are_written(tmp_path):
    path = plot_grid(board(), tmp_path / "deep" / "grid", caption="x")
    assert path == tmp_path / "deep" / "grid.png"
    picture = image.imread(path)
    assert min(picture.shape[:2]) > 300
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 50


X = np.arange(1, 501)


def panel(**changes):
    curves = {"ucb": (X, 1 - 1 / X), "thompson": (X, 0.5 - 0.5 / X)}
    return Panel(**{"curves": curves, "across": "step", "up": "reward"} | changes)


def test_curves_have_their_data_names_and_one_colour_each():
    figure = plot_lines([panel(), panel(curves={"thompson": (X, X / 9)}, up="regret")], title="Two", caption="Means.")
    first, second = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["reward", "regret"]
    assert first.get_title(loc="left") == "Two"
    assert figure.get_supxlabel() == "Means."
    lines = {line.get_label(): line for line in first.lines}
    np.testing.assert_array_equal(lines["ucb"].get_ydata(), 1 - 1 / X)
    assert to_hex(lines["thompson"].get_color()) == to_hex(second.lines[0].get_color()) == PALETTE[1].lower()
    assert {text.get_text() for text in first.texts} == {"ucb", "thompson"}
    assert first.get_xlim()[0] == 0


def test_shares_are_per_cent_and_references_are_named():
    figure = plot_lines(panel(percent=True, limits=(0, 1), references={"the best there is": 1.0}))
    axes = figure.axes[0]
    assert axes.get_ylim() == (0, 1)
    assert axes.yaxis.get_major_formatter()(0.8) == "80 %"
    assert "the best there is" in {text.get_text() for text in axes.texts}


def test_a_logarithmic_axis_and_markers_for_few_points():
    few = {"TD(0)": (np.array([1.0, 10.0, 100.0]), np.array([3.0, 2.0, 1.0]))}
    axes = plot_lines(panel(curves=few, log=True)).axes[0]
    assert axes.get_xscale() == "log"
    assert axes.lines[0].get_marker() == "o"
    assert plot_lines(panel()).axes[0].lines[0].get_marker() in ("", "None")


def test_no_two_of_many_lines_look_alike():
    looks = [tuple(look_of(place).values()) for place in range(21)]
    assert len(set(map(str, looks))) == 21
