"""What a plot shows: the data in its lines and bands, and words that neither overlap nor are cut off."""

import os
import subprocess
import sys

import numpy as np
import pytest
from made_up_runs import config, folder, rows_of, run
from matplotlib import image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from bellmax.report import bootstrap_band, curve, plot
from bellmax.report.canvas import PALETTE
from bellmax.report.margin import spread
from bellmax.runs import RunFolderError

N = np.nan
FOUR = {0: [0.0, 1.0, 8.0], 1: [0.0, 3.0, 2.0], 2: [0.0, 2.0, 4.0], 3: [0.0, 9.0, 6.0]}


def noisy(seeds=5, rows=40, low=20.0, high=500.0, seed=0):
    rng = np.random.default_rng(seed)
    rise = np.linspace(low, high, rows)
    return {s: list(rise + rng.normal(size=rows) * 0.05 * (high - low)) for s in range(seeds)}


def line_of(figure, label):
    (found,) = [line for line in figure.axes[0].lines if line.get_label() == label]
    return found


def lines_called(figure, name):
    return [line for line in figure.axes[0].lines if line.get_gid() == name]


def caption(figure):
    return figure.get_supxlabel().replace("\n", " ")


def test_importing_and_comparing_does_not_import_matplotlib():
    script = """
import sys, bellmax.report as report
assert "matplotlib" not in sys.modules
report.compare([{"step": 1, "score": 1.0}]), report.iqm([1]), report.plot, report.write_result
assert not [name for name in sys.modules if name.startswith("matplotlib")]
assert {"plot", "compare", "iqm", "bootstrap_interval", "sparkline"} <= set(dir(report))
try:
    report.plott
except AttributeError as error:
    assert "plot" in str(error)
else:
    raise AssertionError
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=60)


def test_the_line_is_the_iqm_over_seeds():
    figure = plot(run(FOUR))
    line = line_of(figure, "PPO")
    np.testing.assert_array_equal(line.get_xdata(), [1000, 2000, 3000])
    np.testing.assert_array_equal(line.get_ydata(), [0, 2.5, 5])  # of 1 2 3 9 and 2 4 6 8 the middle two
    assert to_hex(line.get_color()) == PALETTE[0].lower()


def test_the_band_is_the_bootstrap_interval():
    figure = plot(run(FOUR))
    (band,) = figure.axes[0].collections
    low, high = bootstrap_band(curve(rows_of(FOUR))[1])
    points = band.get_paths()[0].vertices
    for step, bottom, top in zip((1000, 2000, 3000), low, high):
        at = points[points[:, 0] == step, 1]
        assert (at.min(), at.max()) == pytest.approx((bottom, top))
    assert top - bottom > 1


def test_single_seeds_are_drawn_if_they_are_few():
    figure = plot(run(FOUR))
    np.testing.assert_array_equal([line.get_ydata() for line in lines_called(figure, "seed")], list(FOUR.values()))
    assert all(line.get_alpha() < 0.5 for line in lines_called(figure, "seed"))
    assert len(lines_called(plot(run(noisy(9))), "seed")) == 9
    assert lines_called(plot(run(noisy(10))), "seed") == []
    assert lines_called(plot(run(noisy(1))), "seed") == []
    assert lines_called(plot([run(noisy(3))] * 5), "seed") == []  # five curves are enough to look at


def test_one_seed_is_a_line_without_a_band():
    figure = plot(run({0: [1.0, None, 3.0]}))
    np.testing.assert_array_equal(line_of(figure, "PPO").get_ydata(), [1, 1, 3])
    assert not any(np.isfinite(path.vertices).any() for path in figure.axes[0].collections[0].get_paths())
    assert caption(figure) == "One seed."


def test_where_some_seeds_have_no_value_the_line_is_another():
    figure = plot(run({0: [None, 1.0, 2.0, 3.0, 4.0, 5.0], 1: [8.0, 9.0, 10.0]}))
    # Seed 1 begins first and ends after 3,000; its last row speaks for the 1,000 steps that its rows are apart.
    np.testing.assert_array_equal(line_of(figure, "PPO").get_ydata(), [N, 5, 6, 6.5, N, N])
    (some,) = lines_called(figure, "some seeds")
    np.testing.assert_array_equal(some.get_ydata(), [8, 5, 6, 6.5, 4, 5])
    assert some.get_linestyle() != "-"
    assert "Dashed: only the seeds that have a value." in caption(figure)
    assert "Dashed" not in caption(plot(run(FOUR)))


def test_before_any_episode_has_ended():
    figure = plot(run({0: [None, None], 1: [None, None]}))
    assert [text.get_text() for text in figure.axes[0].texts] == ["no episode has ended yet"]
    assert np.isnan(line_of(figure, "PPO").get_ydata()).all()
    assert [text.get_text() for text in plot([rows_of({})]).axes[0].texts] == ["no episode has ended yet"]


def test_runs_with_the_same_label_are_one_group():
    figure = plot([run({0: [1.0], 1: [2.0]}), run({0: [3.0], 1: [10.0]}), run({0: [7.0]})], labels=["a", "a", "b"])
    np.testing.assert_array_equal(line_of(figure, "a").get_ydata(), [2.5])  # the middle two of four seeds
    np.testing.assert_array_equal(line_of(figure, "b").get_ydata(), [7])


def test_other_metrics_and_evaluations():
    source = run(FOUR, means={0: [100.0, 300.0], 1: [200.0, 500.0]})
    np.testing.assert_array_equal(line_of(plot(source, metric="kl"), "PPO").get_ydata(), [0.25] * 3)
    figure = plot(source, metric="evaluation")
    np.testing.assert_array_equal(line_of(figure, "PPO").get_ydata(), [150, 400])
    assert figure.axes[0].get_ylabel() == "evaluation score (return of an episode)"
    assert figure.axes[0].get_xlabel() == "environment steps"
    with pytest.raises(ValueError, match=r"metric = 'scroe'.*did you mean 'score'"):
        plot(source, metric="scroe")
    with pytest.raises(ValueError, match=r"no evaluations; train with evaluate_every"):
        plot(run(FOUR), metric="evaluation")


def test_smoothing_is_asked_for_or_said():
    rows = {0: [float(i % 2) for i in range(400)]}
    raw = line_of(plot(run(rows), smooth=0), "PPO").get_ydata()
    assert set(raw) == {0.0, 1.0}
    figure = plot(run(rows))  # 400 rows in 400,000 steps: 2 % are 8,000, eight rows of four zeros and four ones
    smooth = line_of(figure, "PPO").get_ydata()
    np.testing.assert_allclose(smooth[10:], 0.5)
    assert caption(figure) == "One seed. Values are means over the last 8,000 steps."
    np.testing.assert_allclose(line_of(plot(run(rows), smooth=2000), "PPO").get_ydata()[10:], 0.5)
    assert len(raw) <= 300  # a line needs no more points
    assert caption(plot(run(FOUR))).endswith("interval.")


def test_references_are_lines_across():
    figure = plot(run(FOUR), references={"published": 7.5})
    (line,) = [line for line in figure.axes[0].lines if list(line.get_ydata()) == [7.5, 7.5]]
    assert list(line.get_xdata()) == [0, 1]  # of the axes' width
    assert [text.get_text() for text in figure.axes[0].texts] == ["PPO", "published (7.5)"]
    assert figure.axes[0].get_ylim()[1] > 7.5


def test_many_groups_differ_in_colour_or_line():
    runs = [run(noisy(2, seed=i), config=config(learning_rate=10.0**-i)) for i in range(16)]
    figure = plot(runs)
    lines = [line for line in figure.axes[0].lines if line.get_label().startswith("PPO")]
    looks = {(line.get_color(), str(line._dash_pattern)) for line in lines}
    assert len(lines) == len(looks) == 16
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == [line.get_label() for line in lines]


def words(figure):
    """Every text that is shown, with its place in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes, renderer = figure.axes[0], canvas.get_renderer()
    legend = axes.get_legend()
    texts = [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, figure._supxlabel, *axes.texts]
    texts += [*axes.get_xticklabels(), *axes.get_yticklabels(), *(legend.get_texts() if legend else [])]
    limits = {axes.xaxis: axes.get_xlim(), axes.yaxis: axes.get_ylim()}
    shown = [text for text in texts if text.get_text() and text.get_visible()]
    for axis, (low, high) in limits.items():
        outside = [t.label1 for t in axis.get_major_ticks() if not low <= t.get_loc() <= high]
        shown = [text for text in shown if text not in outside]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


LONG = "a label that goes on and on about everything that was changed for this run, and then a little further"
SCENES = {
    "one": lambda: plot(run(noisy())),
    "close ends": lambda: plot(
        [run(noisy(seed=i), config=config(kind=f"x:Algorithm{i}")) for i in range(4)], references={"a": 500, "b": 499}
    ),
    "negative": lambda: plot([run(noisy(3, low=-1600, high=-150)), run(noisy(4, low=-1500, high=-160))]),
    "millions": lambda: plot(rows_of(noisy(3, low=-3e6, high=2e6), every=1_000_000)),
    "lengths": lambda: plot([run(noisy(3, rows=5)), run(noisy(20, rows=90))], labels=["short", "long"]),
    "long names": lambda: plot([run(noisy(3)), run(noisy(2))], labels=["x" + LONG, LONG], title=f"{LONG} {LONG}"),
    "sweep": lambda: plot([run(noisy(3, seed=i), config=config(learning_rate=10.0**-i)) for i in range(12)]),
    "evaluation": lambda: plot(run(FOUR, means={0: [1.0], 1: [3.0]}), metric="evaluation", references={"solved": 475}),
    "nothing": lambda: plot(run({0: [None]})),
}


def faults(figure):
    """Texts that are cut off, and pairs of which one covers the other."""
    found = words(figure)
    width, height = figure.bbox.size
    cut = [text for text, box in found if min(box.x0, box.y0) < -1 or box.x1 > width + 1 or box.y1 > height + 1]
    smaller = [(text, box.padded(-1.5)) for text, box in found]  # boxes of letters may touch
    pairs = [
        (text, other) for i, (text, box) in enumerate(smaller) for other, place in smaller[:i] if box.overlaps(place)
    ]
    return cut + pairs


@pytest.mark.parametrize("scene", SCENES)
def test_words_are_neither_cut_off_nor_on_top_of_each_other(scene):
    assert faults(SCENES[scene]()) == []


def test_the_test_of_words_can_fail(monkeypatch):
    monkeypatch.setattr("bellmax.report.margin.spread", lambda heights, gap: heights)
    assert ("b (499)", "a (500)") in faults(SCENES["close ends"]())
    monkeypatch.setattr("textwrap.fill", lambda text, width: text)
    assert f"{LONG} {LONG}" in faults(SCENES["long names"]())


@pytest.mark.parametrize("scene", ["close ends", "negative", "lengths", "long names", "sweep", "evaluation"])
def test_names_cover_no_data(scene):
    figure = SCENES[scene]()
    found = dict(words(figure))
    axes = figure.axes[0]
    legend = axes.get_legend()
    names = [text.get_text() for text in (legend.get_texts() if legend else axes.texts)]
    assert len(names) > 1
    assert [name for name in names if axes.get_window_extent().overlaps(found[name])] == []


def test_files(tmp_path):
    made = folder(tmp_path, "ppo", FOUR)
    path = plot(made.path, tmp_path / "new" / "ppo-CartPole-v1.5")
    assert path == tmp_path / "new" / "ppo-CartPole-v1.5.png"
    assert image.imread(path).shape[:2] == (750, 1200)  # 8 x 5 inches of 150 dots
    assert plot(made, str(tmp_path / "curve.svg")).read_text().startswith("<?xml")
    with pytest.raises(RunFolderError, match=r"a part of this path is a file"):
        plot(made, path / "inside.png")
    with pytest.raises(RunFolderError, match="is no run folder"):
        plot(tmp_path / "new")


def test_the_title_says_what_is_common():
    def title(*runs, **options):
        return plot(list(runs), **options).axes[0].get_title(loc="left")

    other = run(FOUR, config=config(kind="x:A2C"))
    assert title(run(FOUR)) == "PPO on CartPole-v1"
    assert title(run(FOUR), other) == "CartPole-v1"
    assert title(run(FOUR), run(FOUR, config=config("Acrobot-v1"))) == ""
    assert title(rows_of(FOUR)) == ""
    assert title(run(FOUR), title="mine") == "mine"


def test_heights_are_spread_as_little_as_possible():
    np.testing.assert_allclose(spread([0.5, 0.1, 0.9], 0.1), [0.5, 0.1, 0.9])  # room enough
    np.testing.assert_allclose(spread([0.5, 0.5], 0.1), [0.45, 0.55])
    np.testing.assert_allclose(spread([0.52, 0.5, 0.1], 0.1), [0.56, 0.46, 0.1])  # about their middle, in their order
    np.testing.assert_allclose(spread([0.0, 0.02], 0.1), [0, 0.1])  # not below the plot
    np.testing.assert_allclose(spread([1.0, 1.0, 1.0], 0.1), [0.8, 0.9, 1.0])
    np.testing.assert_allclose(spread([0.5] * 4, 0.5), [0, 0.5, 1, 1.5])  # no room: upwards
