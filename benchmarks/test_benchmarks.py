"""The harness itself: medians, ratios, targets and refusals, with figures worked out by hand."""

import contextlib
import json
import sys

import pytest

from benchmarks import machine, peers, ppo_cartpole, process, report
from benchmarks.ours import first_reached
from benchmarks.report import Row, Target

INFINITY = float("inf")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """These tests time nothing, so they need not wait for the machine."""
    monkeypatch.setattr(process, "wait_until_quiet", lambda patience: None)
    monkeypatch.setattr(process, "ticks", lambda: None)


def test_the_ratio_is_of_the_medians_and_is_held_against_the_target():
    # medians 30 and 10: ratio 3; the means would give 50 / 37
    row = Row("speed", [20, 30, 100], "steps/s", [10, 1, 100], "Peer", Target("ratio", ">=", 3))
    assert row.ratio == 3
    assert row.met is True
    assert row._replace(target=Target("ratio", ">=", 3.01)).met is False  # negative control
    assert row.cells() == ["speed", "30 (20 to 100) steps/s", "Peer: 10 (1 to 100) steps/s", "3.00x", ">= 3x", "yes"]


def test_a_target_of_our_own_figure_needs_no_peer_and_one_of_the_ratio_does():
    row = Row("import", [1.4, 1.6, 9.0], "s", target=Target("bellmax", "<=", 1.5))
    assert row.met is False  # the median 1.6 counts
    assert row._replace(bellmax=[1.4, 1.5, 9.0]).met is True
    assert row.cells()[-1] == "**no**"
    with pytest.raises(ValueError, match="no peer"):
        _ = row._replace(target=Target("ratio", ">=", 2)).met


def test_seeds_that_never_solve_count_as_infinity():
    # of three seeds, in any order of the evaluations: solved at 2, at 1 (a later dip does not undo it), never
    means = {(7, 2): 480.0, (7, 1): 474.9, (8, 3): 480.0, (8, 2): 100.0, (8, 1): 475.0, (9, 2): 474.9, (9, 1): 0.0}
    rows = [{"seed": seed, "step": step, "mean": mean} for (seed, step), mean in means.items()]
    steps = first_reached(rows, 475, [7, 8, 9])
    assert steps == [2, 1, None]
    row = Row("solve", [INFINITY if step is None else step for step in [None, None, 5]], "steps")
    assert row.cells()[1] == "never (5 to never) steps"
    assert row._replace(target=Target("bellmax", "<=", 30_000)).met is False


def test_a_written_table_is_json_without_infinities_and_markdown_with_every_fact(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    rows = [Row("solve", [INFINITY, 12.0], "steps", target=Target("bellmax", "<=", 20))]
    facts = {"command": "`make it`", "seeds": "0 to 1"}
    text = report.markdown("Title", rows, facts)
    markdown, stored = report.write("table", text, rows, facts, {"solve": [{"steps": [12.0, INFINITY]}]})
    found = json.loads(stored.read_text())
    assert found["rows"][0]["bellmax"] == [None, 12.0]
    assert found["rows"][0]["met"] is False  # the median of 12 and infinity is infinite
    assert found["answers"]["solve"][0]["steps"] == [12.0, None]
    assert "`make it`" in markdown.read_text()
    assert "0 to 1" in markdown.read_text()


def test_contestants_take_turns():
    order = []
    contestants = {name: lambda seed, name=name: order.append((name, seed)) or {"seed": seed} for name in "ab"}
    answers = process.interleave(contestants, 2)
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert answers == {"a": [{"seed": 0}, {"seed": 1}], "b": [{"seed": 0}, {"seed": 1}]}


def test_a_measurement_is_the_last_json_line_of_a_fresh_process():
    program = (
        "import json, os, sys; print('{}\\nnoise'); print(json.dumps({'got': json.loads(sys.argv[1]), **os.environ}))"
    )
    answer = process.measure([sys.executable, "-c", program], {"steps": 3}, {"OMP_NUM_THREADS": "7"}, limit=30)
    assert answer["got"] == {"steps": 3}
    assert answer["OMP_NUM_THREADS"] == "7"
    assert 0 < answer["wall"] < 30


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise SystemExit('out of luck')", "failed with status 1:\nout of luck"),
        ("print('no figures')", "printed no JSON line; it printed: 'no figures"),
        ("import time; time.sleep(9)", "longer than its limit of 1 s"),
    ],
)
def test_a_measurement_that_fails_says_why(program, message):
    with pytest.raises(RuntimeError) as raised:
        process.measure([sys.executable, "-c", program], {}, limit=1)
    assert message in str(raised.value)


def test_the_shells_thread_settings_do_not_leak_into_a_measurement(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--nonsense")
    program = "import json, os; print(json.dumps({'flags': os.environ.get('XLA_FLAGS')}))"
    assert process.measure([sys.executable, "-c", program], {}, limit=30)["flags"] is None


def test_others_are_whoever_used_the_cores_beside_us():
    # of 400 ticks 100 were idle and our process took 240: others had 60, 15 %
    before = machine.Ticks(total=1000, idle=500, ours=10)
    assert machine.others(before, machine.Ticks(1400, 600, 250)) == 0.15
    assert machine.others(before, machine.Ticks(1400, 600, 310)) == 0.0
    assert machine.others(None, None) == 0.0


@pytest.mark.parametrize(("loads", "kept", "measured"), [([0.05], 0.05, 1), ([0.9, 0.1], 0.1, 2), ([0.9] * 9, 0.9, 3)])
def test_a_disturbed_measurement_is_made_again_a_few_times(monkeypatch, loads, kept, measured):
    found, made = iter(loads), []
    monkeypatch.setattr(process, "others", lambda before, after: next(found))
    monkeypatch.setattr(process, "run_once", lambda *_: made.append(1) or process.Done("{}", 1.0, 0.0))
    assert process.measure(["anything"], {}, limit=1)["others"] == kept
    assert len(made) == measured
    facts = report.facts("it", "0", [{"others": kept}], [])
    assert ("too much to trust" in facts["others' use of the cores during a measurement"]) is (kept > 0.1)


def test_a_peer_is_met_at_its_best_threads(monkeypatch):
    speeds = dict(zip(peers.SB3.variants, (10.0, 11.0)))
    monkeypatch.setattr(peers, "ask", lambda peer, script, job, variant: {"steps_per_second": speeds[variant]})
    assert peers.fastest(peers.SB3, "sb3_ppo", {}) == "2 torch threads"
    speeds["1 torch thread"] = 12.0
    assert peers.fastest(peers.SB3, "sb3_ppo", {}) == "1 torch thread"


def test_a_pin_is_unmet_when_missing_or_of_another_version():
    from pathlib import Path

    here = Path(sys.executable)
    installed = peers.versions(here, ["pytest"])["pytest"]
    assert peers.unmet(here, {"pytest": installed}) == []
    assert peers.unmet(here, {"pytest": "0.0.1", "no-such-package": "1"}) == ["pytest==0.0.1", "no-such-package==1"]


def test_every_peer_pins_what_its_scripts_report():
    for peer in (peers.SB3, peers.REJAX):
        assert peers.pins(peer), f"{peer.name}.txt pins nothing"
    assert peers.pins(peers.SB3)["torch"] == "2.13.0"


@pytest.mark.parametrize(("chosen", "written"), [([], True), (["--quick"], False), (["--only", "solve"], False)])
def test_only_a_whole_table_is_written(monkeypatch, tmp_path, capsys, chosen, written):
    part = lambda plan: ([Row("it", [1.0])], {"it": [{"versions": {"jax": "1"}}]})
    monkeypatch.setattr(ppo_cartpole, "PARTS", dict.fromkeys(ppo_cartpole.PARTS, part))
    monkeypatch.setattr(ppo_cartpole, "alone", contextlib.nullcontext)  # nothing is timed: no need to wait
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmark", *chosen])
    ppo_cartpole.main()
    assert (tmp_path / "ppo_cartpole.json").exists() is written
    assert "| it | 1 |" in capsys.readouterr().out
