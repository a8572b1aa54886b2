"""What lines, JSON and quiet print."""

import io
import json
import sys

import pytest

from bellmax import display
from bellmax.display import Facts
from bellmax.display.json_lines import Json
from bellmax.display.lines import Lines
from bellmax.display.live import Live
from bellmax.display.quiet import Quiet

FACTS = Facts("ppo", "CartPole-v1", "hosted", 100_000, 8, [0], "ppo on CartPole-v1", "runs/one")
SUMMARY = {"status": "finished", "steps": 100_000, "run": 4.6, "compile": 3.1, "steps_per_second": 22_310.4}
SUMMARY |= {"score": 480.1, "folder": "runs/one"}
EVALUATION = {"seed": 0, "step": 50_000, "mean": 498.2, "std": 3.1, "greedy": True, "episodes": 100}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def lines_of(run, facts=FACTS):
    stream, clock = io.StringIO(), Clock()
    shown = Lines(stream, clock)
    shown.start(facts)
    run(shown, clock)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("seeds", [1, 30])
def test_progress_takes_twenty_lines_however_many_rows_come(seeds):
    def run(shown, clock):
        for step in range(100, 100_001, 100):
            clock.now += 0.01
            for seed in range(seeds):
                shown.row({"seed": seed, "step": step, "score": 1.0, "steps_per_second": 1e4})

    printed = lines_of(run, FACTS._replace(seeds=list(range(seeds))))
    assert len(printed) == 1 + 20
    # 1,000 rows a seed: a line each would be 1,000
    assert [line.split("%")[0].strip() for line in printed[1:]] == [str(5 * i) for i in range(1, 21)]


def test_rows_far_apart_do_not_print_what_was_skipped():
    def run(shown, clock):
        shown.row({"seed": 0, "step": 50_000, "score": 1.0})
        shown.row({"seed": 0, "step": 50_100, "score": 1.0})
        shown.row({"seed": 0, "step": 100_000, "score": 1.0})

    assert len(lines_of(run)) == 1 + 2


def test_a_resumed_run_prints_only_what_is_new():
    def run(shown, clock):
        shown.row({"seed": 0, "step": 91_000, "score": 1.0})
        shown.row({"seed": 0, "step": 96_000, "score": 1.0})

    printed = lines_of(run, FACTS._replace(taken=90_000))
    assert len(printed) == 2
    assert "from step 90,000" in printed[0]


def test_what_has_no_score_shows_its_loss_and_slow_steps_their_fraction():
    def run(shown, clock):
        shown.row({"seed": 0, "step": 50_000, "loss": 1.25, "steps_per_second": 1.4})
        shown.row({"seed": 0, "step": 100_000, "loss": 1.25, "score": 3.5, "steps_per_second": 1.4})
        shown.finish(SUMMARY | {"steps_per_second": 0.25})

    _, middle, end, over = lines_of(run, FACTS._replace(driver="language"))
    assert "loss     1.25" in middle
    assert "1.40 steps/s" in middle
    assert "score     3.50" in end
    assert "loss" not in end
    assert "(0.25 steps/s)" in over
    assert "score        -" in lines_of(run)[1], "an agent's first episode may be a long one"


def test_lines_say_what_runs_how_it_goes_and_how_it_ended():
    def run(shown, clock):
        shown.compiling()
        clock.now += 3.1
        shown.compiled(3.1)
        clock.now += 2.0
        shown.row({"seed": 0, "step": 50_000, "score": 312.4, "steps_per_second": 25_000.0})
        shown.evaluation(EVALUATION)
        shown.note("a word")
        shown.finish(SUMMARY)

    assert lines_of(run) == [
        "ppo on CartPole-v1: hosted, 8 envs, seed 0, 100,000 steps, recipe ppo on CartPole-v1 -> runs/one",
        "compiled in 3.1 s",
        # 50,000 steps in 2 s of running, so as much again
        " 50%   50,000 steps  score    312.4     25,000 steps/s  2.0 s left",
        "evaluation at 50,000 steps: 498.2 +- 3.10 over 100 greedy episodes",
        "a word",
        "finished: 100,000 steps in 4.6 s (22,310 steps/s), 3.1 s compiling, score 480.1 -> runs/one",
    ]


def test_lines_are_plain_ascii():
    def run(shown, clock):
        shown.row({"seed": 0, "step": 50_000, "score": None})
        shown.evaluation(EVALUATION)
        shown.finish(SUMMARY | {"score": float("nan"), "folder": None, "steps_per_second": 0.0})

    assert all(line.isascii() for line in lines_of(run))


def test_every_event_is_a_line_of_json_and_what_is_no_number_is_null():
    stream = io.StringIO()
    shown = Json(stream)
    shown.start(FACTS)
    shown.compiling()
    shown.compiled(3.1)
    shown.row({"seed": 0, "step": 10, "score": float("nan"), "kl": float("inf"), "length": None})
    shown.evaluation(EVALUATION)
    shown.note("a word\nand another")
    shown.finish(SUMMARY)
    events = [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]
    names = ["start", "compiling", "compiled", "row", "evaluation", "note", "finish"]
    assert [event["event"] for event in events] == names
    assert events[0] == {"event": "start"} | FACTS._asdict()
    assert events[3] == {"event": "row", "seed": 0, "step": 10, "score": None, "kl": None, "length": None}
    assert events[5]["text"] == "a word\nand another"
    assert events[6]["score"] == 480.1


def test_quiet_prints_nothing(capsys):
    shown = Quiet()
    shown.start(FACTS)
    shown.compiling()
    shown.compiled(1.0)
    shown.row({"seed": 0, "step": 1})
    shown.evaluation(EVALUATION)
    shown.note("a word")
    shown.finish(SUMMARY)
    assert capsys.readouterr() == ("", "")


def test_auto_is_live_on_a_terminal_and_lines_elsewhere(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(display.make("auto"), Lines)  # pytest's output is no terminal
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert isinstance(display.make("auto"), Live)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display.make("auto"), Lines)


def test_displays_have_names_and_no_others():
    kinds = {"live": Live, "lines": Lines, "json": Json, "quiet": Quiet}
    assert {name: type(display.make(name)) for name in kinds} == kinds
    with pytest.raises(ValueError, match=r"display = 'fancy': it must be one of auto, live, lines, json, quiet\."):
        display.make("fancy")
