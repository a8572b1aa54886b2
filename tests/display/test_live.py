"""The picture, and the terminal it is drawn on."""

import io
import math
import sys
import threading
import time

import pytest
from rich.cells import cell_len
from rich.console import Console

from bellmax.display import Facts
from bellmax.display import live as live_module
from bellmax.display.live import Live
from bellmax.display.progress import Progress
from bellmax.display.screen import Screen

SUMMARY = {"status": "finished", "steps": 102_400, "run": 4.6, "compile": 3.1, "steps_per_second": 22_310.4}


def facts(seeds=1, env="CartPole-v1", folder="runs/ppo-CartPole-v1-2026-11-21-093015"):
    return Facts("ppo", env, "hosted", 102_400, 8, list(range(seeds)), "ppo on CartPole-v1", folder)


def row(seed, step, score=312.4):
    names = [
        "surrogate",
        "value_error",
        "entropy",
        "kl",
        "clip_fraction",
        "grad_norm",
        "explained_variance",
        "a",
        "b_c",
    ]
    metrics = {name: -1.23456e-7 * 10**place for place, name in enumerate(names)}
    return {
        "seed": seed,
        "step": step,
        "score": score,
        "length": 9.0,
        "episodes": 3,
        "steps_per_second": 22e3,
    } | metrics


def screen(given, rows=60, part=0.62):
    progress = Progress(given, lambda: 0.0)
    progress.compiled(3.1)
    for count in range(1, rows + 1):
        for seed in given.seeds:
            step = round(part * given.steps * count / rows)
            progress.row(row(seed, step, 500 / (1 + math.exp(10 - 20 * step / given.steps))))
    for seed in given.seeds:
        progress.evaluation({"seed": seed, "step": 60_000, "mean": 498.2, "std": 3.1, "greedy": True, "episodes": 100})
    return Screen(progress)


def drawn(picture, width, encoding="utf-8"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(width=width, file=stream, color_system=None, legacy_windows=False).print(picture)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("seeds", [1, 3, 8, 32])
@pytest.mark.parametrize("over", [False, True])
def test_no_line_is_wrapped_or_wider_than_the_terminal(width, seeds, over):
    picture = screen(facts(seeds))
    picture.summary = SUMMARY | {"folder": "runs/x"} if over else None
    lines = drawn(picture, width)
    assert max(map(cell_len, lines)) <= width
    box = lines[:5]
    assert (box[0][:23], box[0][-1]) == ("╭─ ppo on CartPole-v1 ─", "╮")
    assert all(line.startswith("│ ") and line.endswith(" │") for line in box[1:4])
    assert (box[4][0], box[4][-1]) == ("╰", "╯")
    # header 5, bar, pace, blank, score, evaluation, blank, last line; one for each of several seeds or one for many
    fixed = 12 + (seeds if 1 < seeds <= 8 else 1 if seeds > 8 else 0) + (3 if over else 0)
    across = max(1, (min(width, 120) - 4) // 34)
    assert len(lines) == fixed + math.ceil(9 / across), "a line was wrapped"


def test_the_picture_says_what_matters_and_clips_nothing_at_eighty_columns():
    text = "\n".join(drawn(screen(facts(3)), 80))
    for words in (
        "hosted",
        "8 envs",
        "seeds 0-2",
        "runs/ppo-CartPole-v1-2026-11-21-093015",
        " 62%",
        "63,488 / 102,400 steps each",
    ):
        assert words in text
    for words in (
        "compiled in 3.1 s",
        "66,000 steps/s",
        "seed 2",
        "min 498.2 · max 498.2 · at 60,000",
        "explained variance",
    ):
        assert words in text
    assert "…" not in text


def test_names_that_are_too_long_are_cut_and_not_wrapped():
    long = facts(1, env="some.very.long.module.name:AnEnvironmentWithAnExtremelyLongName-v1", folder="/a" * 60)
    lines = drawn(screen(long), 60)
    assert max(map(cell_len, lines)) <= 60
    assert lines[3].endswith("… │")
    assert lines[4].startswith("╰")


def test_the_curve_rises_to_where_the_run_is():
    curve = next(line for line in drawn(screen(facts()), 80) if "score" in line).split()[-1]
    # room for 80 - 29 = 51 columns, of which 62% are filled: ceil(0.62 * 51) = 32
    assert len(curve) == 32
    assert curve == "".join(sorted(curve)), "the blocks are in the order of their heights"
    assert curve[0] == "▁"
    assert curve[-1] == "█"


def test_a_terminal_without_unicode_gets_ascii():
    text = "\n".join(drawn(screen(facts(3)), 80, "ascii"))
    assert "@" in next(line for line in text.splitlines() if "score" in line)
    assert "hosted  -  8 envs" in text


def test_nothing_known_is_drawn_too():
    picture = Screen(Progress(facts(2), lambda: 0.0))
    assert any("score" in line and "-" in line for line in drawn(picture, 80))
    picture.progress.compiling()
    assert any("compiling" in line for line in drawn(picture, 80))


def terminal(width=80):
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=40, legacy_windows=False)


HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def test_the_terminal_is_given_back():
    console, out, err = terminal(), sys.stdout, sys.stderr
    shown = Live(console)
    shown.start(facts())
    assert sys.stdout is not out, "what others print goes above the picture"
    shown.compiling()
    shown.compiled(1.0)
    shown.row(row(0, 1000))
    shown.finish(SUMMARY | {"folder": None, "score": 1.0})
    text = console.file.getvalue()
    assert (sys.stdout, sys.stderr) == (out, err)
    assert text.rfind(SHOW) > text.rfind(HIDE) >= 0
    assert "finished" in text
    assert not [thread for thread in threading.enumerate() if thread.name == "bellmax-display"]
    shown.close()  # again, for nothing


def test_a_run_that_broke_gives_the_terminal_back_too():
    console, out = terminal(), sys.stdout
    shown = Live(console)
    shown.start(facts())
    live_module.close_all()
    text = console.file.getvalue()
    assert sys.stdout is out
    assert text.rfind(SHOW) > text.rfind(HIDE) >= 0


def test_a_forked_child_prints_to_the_real_output():
    out, shown = sys.stdout, Live(terminal())
    shown.start(facts())
    inside = sys.stdout
    live_module._in_child()
    assert sys.stdout is sys.__stdout__
    sys.stdout = inside
    shown.close()
    sys.stdout = out
    live_module._in_child()  # nothing is shown: nothing is changed
    assert sys.stdout is out


def test_rows_draw_nothing_and_the_clock_draws_at_most_eight_times_a_second(monkeypatch):
    console, pictures = terminal(), []
    real = Screen.__rich_console__
    monkeypatch.setattr(Screen, "__rich_console__", lambda *args: pictures.append(time.monotonic()) or real(*args))
    shown = Live(console)
    shown.start(facts())
    began, count = time.monotonic(), len(pictures)
    while time.monotonic() - began < 0.6:
        shown.row(row(0, 1000))
    rate = (len(pictures) - count) / (time.monotonic() - began)
    shown.close()
    assert 0 < rate <= 8.5


def test_a_terminal_that_has_gone_does_not_stop_the_run():
    console = terminal()
    shown = Live(console)
    shown.start(facts())
    console.file.close()
    shown.row(row(0, 1000))
    shown.finish(SUMMARY)
    assert not [thread for thread in threading.enumerate() if thread.name == "bellmax-display"]
