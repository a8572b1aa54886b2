"""A run from beginning to end, through the command line alone."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from bellmax.cli import runs as runs_command
from bellmax.cli.envs import columns
from bellmax.cli.find_run import explain_interrupt, find_run
from bellmax.cli.main import main
from bellmax.loading import load
from bellmax.runs import RunFolder, RunFolderError

SMALL = "ppo bellmax:CartPole --recipe none --num-envs 2 --experience.length 16 --epochs 1 --hidden 8 --seeds 4,9"


FLAGS = ["--evaluate-every", "320", "--json", "--plot"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which a small run called `small` was trained, and what that printed."""
    place, printed, before = tmp_path_factory.mktemp("work"), io.StringIO(), os.getcwd()
    os.chdir(place)
    try:
        with contextlib.redirect_stdout(printed):
            code = main(["train", *SMALL.split(), "--steps", "640", "--name", "small", *FLAGS])
    finally:
        os.chdir(before)
    assert code == 0
    return place, printed.getvalue()


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    return trained[0]


def test_json_is_json_from_the_first_line_to_the_last(trained):
    events = [json.loads(line) for line in trained[1].splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["start", "finish"]
    assert (events[0]["algorithm"], events[0]["env"], events[0]["seeds"]) == ("ppo", "bellmax:CartPole", [4, 9])
    assert events[-1]["status"] == "finished"
    assert {(row["seed"], row["step"]) for row in events if row["event"] == "row"} >= {(4, 640), (9, 640)}
    assert sum(event["event"] == "evaluation" for event in events) == 2 * 2


def test_the_run_folder_is_where_it_was_asked_for(here):
    run = RunFolder.open(here / "runs" / "small")
    assert run.config["algorithm"]["epochs"] == 1
    assert run.config["seeds"] == [4, 9]
    assert (run.path / "curve.png").stat().st_size > 1000


def test_runs_lists_it(here, capsys):
    assert main(["runs"]) == 0
    heading, _, line = capsys.readouterr().out.splitlines()
    assert " ".join(heading.split()) == "run algorithm environment status steps of seeds score begun"
    assert line.split()[:7] == ["small", "PPO", "bellmax:CartPole", "finished", "640", "640", "2"]
    scores = {row["seed"]: row["score"] for row in RunFolder.open("runs/small").metrics() if row["score"] is not None}
    assert float(line.split()[7]) == pytest.approx(sum(scores.values()) / 2, abs=0.06)


def test_evaluate_says_how_good_each_seed_is(here, capsys):
    assert main(["evaluate", "small", "--episodes", "6"]) == 0
    text = capsys.readouterr().out
    run = load("runs/small")
    for index, seed in enumerate([4, 9]):
        scores = run.evaluate(6, seed=index).scores
        line = next(line for line in text.splitlines() if line.split()[:1] == [str(seed)]).split()
        ends = [float(word) for word in (line[1], line[-3], line[-2])]
        assert ends == pytest.approx([scores.mean(), scores.min(), scores.max()], abs=0.06)
    assert "mean over seeds" in text
    assert main(["evaluate", "latest", "--episodes", "6", "--seed", "9", "--sampled"]) == 0
    text = capsys.readouterr().out
    assert "6 sampled episodes, trained for 640 steps" in text
    assert "mean over seeds" not in text
    assert main(["evaluate", "latest", "--seed", "0"]) == 1
    assert "--seed 0: give one of the run's seeds, 4, 9." in capsys.readouterr().err


def test_plot_and_compare_read_it(here, tmp_path, capsys):
    assert main(["plot", "small", "--output", str(tmp_path / "x.png"), "--metric", "entropy"]) == 0
    assert (tmp_path / "x.png").stat().st_size > 1000
    assert main(["plot", "small", "--metric", "entropie"]) == 1
    assert "entropie" in capsys.readouterr().err
    assert main(["compare", "small", "runs/small", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("| run ")


def test_export_writes_files(here, tmp_path, capsys):
    assert main(["export", "small", "--output", str(tmp_path), "--format", "stablehlo", "--seed", "9"]) == 0
    assert (tmp_path / "policy.stablehlo").exists()
    assert str(tmp_path / "policy.stablehlo") in capsys.readouterr().out


def test_watch_writes_a_film(here, tmp_path, capsys):
    assert main(["watch", "small", "--output", str(tmp_path / "x.gif"), "--seed", "4"]) == 0
    assert (tmp_path / "x.gif").read_bytes()[:3] == b"GIF"
    assert main(["watch", "small", "--output", str(tmp_path / "x.jpg")]) == 1
    assert ".gif or .mp4" in capsys.readouterr().err


def test_watch_says_that_there_is_no_model(here, capsys):
    assert main(["watch", "small", "--imagined"]) == 1
    assert "ppo has no model of the world: watch without --imagined." in capsys.readouterr().err


def test_resume_goes_on(here, capsys):
    assert main(["resume", "small", "--steps", "704", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    run = RunFolder.open("runs/small")
    assert run.config["steps"] == 704
    assert max(row["step"] for row in run.metrics()) == 704


def test_runs_are_found_by_path_by_name_and_as_the_latest(here, tmp_path):
    small = here / "runs" / "small"
    for name in ("small", "latest", "runs/small", str(small)):
        assert find_run(name).resolve() == small
    with pytest.raises(RunFolderError, match="did you mean runs/small"):
        find_run("smal")
    with pytest.raises(RunFolderError, match=r"there are no runs in .*: train one with `bellmax train"):
        find_run("latest", tmp_path)


def test_a_run_here_comes_before_one_in_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for root in (tmp_path, tmp_path / "runs"):
        RunFolder.create(root, "twice", stamp=False).write_config({})
    assert find_run("twice").resolve() == tmp_path / "twice"


def test_ctrl_c_names_the_run_that_was_begun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunFolder.create("runs", "older", stamp=False)

    def interrupted(begins):
        with explain_interrupt("runs"):
            if begins:
                RunFolder.create("runs", "newer", stamp=False)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        interrupted(begins=False)
    with pytest.raises(KeyboardInterrupt, match=r"^interrupted and saved; go on with: bellmax resume newer$"):
        interrupted(begins=True)


def test_ctrl_c_ends_training_cleanly(tmp_path):
    words = [*SMALL.split(), "--steps", "1G", "--log-every", "1000", "--name", "long"]
    command = [sys.executable, "-c", "import sys; from bellmax.cli.main import main; sys.exit(main())", "train", *words]
    training = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    rows, deadline = tmp_path / "runs" / "long" / "metrics.jsonl", time.monotonic() + 60
    while not rows.exists() and time.monotonic() < deadline and training.poll() is None:
        time.sleep(0.05)
    training.send_signal(signal.SIGINT)
    out, err = training.communicate(timeout=60)
    assert training.returncode == 130
    assert err.splitlines()[-1] == "interrupted and saved; go on with: bellmax resume runs/long"
    assert "Traceback" not in err
    assert out.splitlines()[-1].startswith("interrupted: ")
    assert RunFolder.open(tmp_path / "runs" / "long").status == "interrupted"


def test_a_folder_that_is_no_whole_run_does_not_spoil_the_list(tmp_path, capsys):
    RunFolder.create(tmp_path, "begun", stamp=False)
    broken = RunFolder.create(tmp_path, "broken", stamp=False)
    (broken.path / "config.json").write_text("{")
    good = RunFolder.create(tmp_path, "good", stamp=False)
    good.write_config(
        {"algorithm": {"kind": "bellmax.wrappers:Normalised", "inner": {"kind": "x.y:PPO"}}, "steps": 90, "seeds": [0]}
    )
    (good.path / "metrics.jsonl").write_text(
        '{"seed": 0, "step": 30, "score": 2.5}\n{"seed": 0, "step": 60, "score": null}\n{"se'
    )
    good.status = "finished"
    assert main(["runs", str(tmp_path)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[2:]}
    assert "not begun" in lines["begun"]
    assert "damaged" in lines["broken"]
    assert lines["good"].split()[:8] == ["good", "PPO", "-", "finished", "60", "90", "1", "2.50"]


def test_the_last_rows_are_read_without_the_others(tmp_path, monkeypatch):
    run = RunFolder.create(tmp_path, "long", stamp=False)
    rows = [json.dumps({"seed": 0, "step": step}) for step in range(1000)]
    (run.path / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(runs_command, "_TAIL", 100)
    got = [row["step"] for row in runs_command.last_rows(run)]
    assert got == list(range(1000 - len(got), 1000))
    assert 1 <= len(got) < 10


def test_a_narrow_terminal_gets_fewer_columns():
    row = {"run": "ppo-CartPole-v1", "algorithm": "PPO", "environment": "CartPole-v1", "status": "finished"}
    row |= {"steps": "1,000", "of": "1,000", "seeds": "1", "score": "2.0", "begun": "2026-11-21 09:30"}
    assert "begun" in runs_command.fitted([row], 1000)
    narrow = runs_command.fitted([row], 50)
    assert max(map(len, narrow.splitlines())) <= 50
    assert re.split(r"\s+", narrow.splitlines()[0]) == ["run", "status", "steps", "of", "score"]


def test_envs_are_listed_by_source_and_filtered(capsys):
    assert main(["envs", "cartpole"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "bellmax's own, in the graph: 2"
    assert {"  bellmax:CartPole", "  bellmax:PixelCartPole"} <= set(out)
    assert "  CartPole-v1" in out
    assert not any("Acrobot" in line for line in out)
    assert main(["envs", "cartpoel"]) == 1
    assert "did you mean" in capsys.readouterr().err


def test_a_run_that_was_refused_before_it_began_is_not_the_latest(tmp_path):
    begun, refused = (RunFolder.create(tmp_path, name) for name in ("begun", "refused"))
    begun.write_config({"algorithm": {}})
    assert not (refused.path / "config.json").exists()
    assert find_run("latest", tmp_path) == begun.path
    refused.write_config({"algorithm": {}})
    assert find_run("latest", tmp_path) == refused.path, "the control: it is the newer one"


def test_names_are_read_down_the_columns():
    # the cell is 2 wider than the longest name: (14 - 2) // 4 = 3 across, 2 rows
    assert columns(["a1", "b2", "c3", "d4", "e5"], 14) == ["  a1  c3  e5", "  b2  d4"]
    assert columns(["a1", "b2"], 0) == ["  a1", "  b2"]


def test_algorithms_are_listed_with_their_papers(capsys):
    assert main(["algorithms"]) == 0
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert re.search(r"\bppo .*?\(Schulman et al., 2017\) https://arxiv.org/abs/1707.06347", out)
    assert "a2c Advantage actor-critic" in out
    assert out.count("https://") >= 4
