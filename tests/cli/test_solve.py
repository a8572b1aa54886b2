"""`bellmax solve`, and what `train` and `evaluate` show of an exact solution."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.cli.board import board_of, board_text, learned, path_of
from bellmax.cli.main import main
from bellmax.core import Spec
from bellmax.envs import CartPole, FrozenLake
from bellmax.exactness import model_of
from bellmax.loading import load
from bellmax.mdp import from_map
from bellmax.mdp.solving import solve
from bellmax.spaces import Discrete

LAKE = """\
FrozenLake-v1: 16 states, 4 actions, discount 0.99

optimal values
0.542 0.499 0.471 0.457
0.558 0.000 0.358 0.000
0.592 0.643 0.615 0.000
0.000 0.742 0.863 0.000

optimal actions
 ←  ↑  ↑  ↑
 ←  x ←→  x
 ↑  ↓  ←  x
 x  →  ↓  *

value at the start  0.542026
success within 100 steps  74.02 %
expected return within 100 steps  0.74, in 44.6 steps on average
"""


def test_a_lake_in_words(capsys):
    assert main(["solve", "FrozenLake-v1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(LAKE)
    assert re.fullmatch(r"[a-z ]+: [\d,]+ iterations in [\d.]+ m?s, within [\d.]+e-\d+\n", out.removeprefix(LAKE))


@pytest.mark.parametrize(
    ("words", "start", "success"),
    [
        ("FrozenLake-v1 --gamma 0.9", 0.068891, None),
        ("FrozenLake8x8-v1", 0.414640, 0.8630),
        ("bellmax:FrozenLake --set map_name=8x8", 0.414640, 0.8630),
        ("FrozenLake-v1 --set map_name=8x8 --gamma 0.9", 0.006411, None),
        ("bellmax:GridWorld --set size=3 --gamma 0.5", 0.125, 1.0),
        ("FrozenLake-v1 --method policy-iteration", 0.542026, 0.7402),
        ("FrozenLake-v1 --method modified-policy-iteration", 0.542026, 0.7402),
        ("FrozenLake-v1 --method value-iteration --tolerance 1e-7", 0.542026, 0.7402),
        ("FrozenLake-v1 --method gauss-seidel", 0.542026, 0.7402),
        ("FrozenLake-v1 --method prioritised", 0.542026, 0.7402),
        ("FrozenLake-v1 --method linear-programme", 0.542026, 0.7402),
    ],
)
def test_numbers_for_machines(words, start, success, capsys):
    assert main(["solve", *words.split(), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["start_value"] == pytest.approx(start, abs=1e-6)
    assert found["bound"] <= 1e-6
    assert len(found["values"]) == len(found["policy"]) == len(found["optimal_actions"]) == found["states"]
    assert all(action in best for action, best in zip(found["policy"], found["optimal_actions"]))
    if success is not None:
        assert found["success"] == pytest.approx(success, abs=5e-5)


def test_a_cliff_has_no_success_and_no_time_limit(capsys):
    assert main(["solve", "CliffWalking-v1", "--gamma", "1"]) == 0
    out = capsys.readouterr().out
    assert "\nvalue at the start  -13.000000\n" in out
    assert "\nexpected return without a time limit  -13.0, in 13.0 steps on average\n" in out
    assert "success" not in out
    assert "\n-13.0" + " " * 60 + "   0.0\n" in out, "the cliff stays blank"
    assert main(["solve", "CliffWalking-v1", "--gamma", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["success"], found["limit"], found["length"]) == (None, None, pytest.approx(13))


def test_a_world_that_is_no_grid_is_a_table(capsys, tmp_path):
    assert main(["solve", "Taxi-v4", "--gamma", "0.99"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Taxi-v4: 50")
    assert "value at the 300 starts, on average" in out
    assert "success within 200 steps  100.00 %" in out
    assert main(["solve", "Taxi-v4", "--plot", str(tmp_path / "x.png")]) == 1
    assert "--plot: the states of Taxi-v4 are no cells of a grid" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("CartPole-v1", "FrozenLake-v1, CliffWalking-v1 and Taxi-v4 have one"),
        ("bellmax:CartPole", "CartPole does not know its own transitions: FrozenLake, GridWorld"),
        ("FrozenLake-v2", "did you mean"),
        ("FrozenLake-v1 --gamma 1.5", "gamma = 1.5: it must be in [0, 1]"),
        ("FrozenLake-v1 --set size", "--set size: write KEY=VALUE"),
    ],
)
def test_what_is_wrong_is_one_line(words, message, capsys):
    assert main(["solve", *words.split()]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


def test_the_picture_has_what_the_text_has(tmp_path, capsys, monkeypatch):
    path = tmp_path / "lake.png"
    assert main(["solve", "FrozenLake-v1", "--plot", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"drew {path}"
    assert path.stat().st_size > 10_000
    monkeypatch.chdir(tmp_path)
    assert main(["solve", "bellmax:FrozenLake", "--plot"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "drew bellmax-FrozenLake.png"
    assert (tmp_path / "bellmax-FrozenLake.png").exists()
    assert main(["solve", "FrozenLake-v1", "--plot", "a.png", "b.png"]) == 2
    assert "give one file" in re.sub(r"\s+", " ", capsys.readouterr().err)
    mdp = model_of(FrozenLake(), 0.99)
    best = solve(mdp)
    board = board_of(mdp, best.values, best.optimal_actions)
    assert "".join(mark or "." for mark in board.marks) == "S....×.×...××..G"
    assert (board.chosen & ~board.over[:, None]).sum() == 11 + 1  # one arrow a cell of ice, but two in the sixth
    assert not board.closed.any()
    assert board.path == (), "on ice nobody knows the way"


def test_the_way_and_what_is_closed():
    mdp = from_map(("S.#", "..G"), 0.9, slip=0.0)
    best = solve(mdp)
    board = board_of(mdp, best.values, best.optimal_actions)
    assert board.path == (0, 3, 4, 5)  # down comes before right
    assert board.closed.tolist() == [False, False, True, False, False, False]
    assert board_text(mdp, best.values, best.optimal_actions, "optimal").splitlines()[1:3] == [
        "0.810 0.900",
        "0.900 1.000 0.000",
    ]
    round_and_round = np.eye(4, dtype=bool)[[0] * 6]
    assert path_of(mdp, round_and_round) == ()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which a table learned to cross a small world, and what that printed."""
    import contextlib
    import io
    import os

    place, printed, before = tmp_path_factory.mktemp("work"), io.StringIO(), os.getcwd()
    words = "q-learning bellmax:GridWorld --set size=3 --recipe none --steps 3000 --num-envs 1 --gamma 0.5 --plot"
    words += " --learning-rate 1 --exploration.epsilon 1 --name world --seeds 4,9 --track none"
    os.chdir(place)
    try:
        with contextlib.redirect_stdout(printed):
            code = main(["train", *words.split()])
    finally:
        os.chdir(before)
    assert code == 0
    return place, printed.getvalue()


def test_train_shows_and_draws_the_table(trained):
    place, printed = trained
    assert printed.endswith(
        "learned values\n0.125 0.250 0.500\n0.250 0.500 1.000\n0.500 1.000 0.000\n\n"
        "learned actions\n↓→ ↓→  ↓\n↓→ ↓→  ↓\n →  →  * (seed 4)\n"
    )
    for name in ("curve.png", "values.png"):
        assert f"drew runs/world/{name}" in printed
        assert (place / "runs" / "world" / name).stat().st_size > 5000
    found = learned(load(place / "runs" / "world"))
    assert found.tabular
    assert found.values[0] == pytest.approx(0.125)


def test_evaluate_exactly(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained[0])
    assert main(["evaluate", "world", "--exact"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "q-learning on bellmax:GridWorld, greedy, evaluated exactly with discount 0.5"
    assert [line.split()[:5] for line in out[4:6]] == [[seed, "0.125000", "0.125000", "0", "0"] for seed in "49"]
    assert [line.split()[-2:] for line in out[4:6]] == [["100.00", "%"]] * 2
    assert main(["evaluate", "world", "--exact", "--seed", "9"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(out) - 1


def test_json_is_not_disturbed_by_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = "train q-learning bellmax:GridWorld --steps 16 --num-envs 1 --run-folder none --plot --json"
    assert main(words.split()) == 0
    out, err = capsys.readouterr()
    assert all(json.loads(line) for line in out.splitlines())
    assert err.splitlines() == ["drew curve.png", "drew values.png"]


def test_what_is_no_grid_or_no_model_shows_nothing():
    algorithm = QLearning()
    for env, spec in ((CartPole(), None), (CartPole(), Spec(Discrete(5), Discrete(2)))):
        spec = spec or env.spec
        state = SimpleNamespace(q=np.zeros((5, 2)))
        run = SimpleNamespace(plan=SimpleNamespace(env=env), algorithm=algorithm, spec=spec, state_of=lambda _: state)  # noqa: B023
        assert learned(run) is None
