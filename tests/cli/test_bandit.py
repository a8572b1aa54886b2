"""`bellmax bandit`: the table, the curves, and what the command line can say."""

import json

import jax
import numpy as np
import pytest

from bellmax.algorithms.bandits.epsilon_greedy import EpsilonGreedyBandit
from bellmax.algorithms.bandits.ucb import UCB
from bellmax.cli.bandit import Played, panels, place, understand
from bellmax.cli.main import main
from bellmax.drivers.bandit import play
from bellmax.envs.bandits import GaussianBandit
from bellmax.report.line_plots import plot_lines

FEW = ["--steps", "200", "--problems", "50"]


def facts(words, capsys):
    assert main(["bandit", *words, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_numbers_are_those_of_play(capsys):
    (found,) = facts(["ucb", *FEW, "--seed", "3", "--c", "1"], capsys)
    played = play(UCB(c=1.0), GaussianBandit(), jax.random.key(3), steps=200, problems=50)
    assert found["algorithm"] == "ucb"
    assert found["regret"] == pytest.approx(float(played.regret[-1]), rel=1e-5)
    assert found["reward"] == pytest.approx(float(played.reward[-2:].mean()), abs=1e-5)
    assert found["optimal"] == pytest.approx(float(played.optimal[-2:].mean()), abs=1e-6)
    assert found["regret_error"] == pytest.approx(float(played.regret_error[-1]), rel=1e-4)


def test_the_table_and_the_picture(tmp_path, capsys):
    path = tmp_path / "curves.png"
    assert main(["bandit", "ucb", "epsilon-greedy", *FEW, "--plot", str(path)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "bellmax:GaussianBandit: 200 steps in each of 50 problems"
    assert out[2].split() == ["algorithm", "reward", "optimal", "action", "over", "time", "regret", "seconds"]
    assert [line.split()[0] for line in out[4:6]] == ["ucb", "epsilon-greedy"]
    assert all("█" in line and "±" in line and " % " in line for line in out[4:6])
    assert out[-1] == f"drew {path}"
    assert path.stat().st_size > 10_000


def test_one_algorithm_has_its_hyperparameters_as_flags(capsys):
    _, algorithms = understand(["epsilon-greedy", "--epsilon", "0.25", "--initial", "5"])
    assert algorithms == {"epsilon-greedy": EpsilonGreedyBandit(epsilon=0.25, initial=5.0)}
    with pytest.raises(SystemExit) as leaving:
        understand(["epsilon-greedy", "ucb", "--epsilon", "0.25"])
    assert leaving.value.code == 2
    assert main(["bandit", "ucb", "--help"]) == 0
    assert "how much uncertainty is worth" in capsys.readouterr().out


def test_several_values_of_one_hyperparameter_side_by_side():
    _, algorithms = understand(["epsilon-greedy", "--over", "epsilon=0,0.01,0.1", "--initial", "1"])
    assert [(name, each.epsilon, each.initial) for name, each in algorithms.items()] == [
        ("epsilon 0", 0.0, 1.0),
        ("epsilon 0.01", 0.01, 1.0),
        ("epsilon 0.1", 0.1, 1.0),
    ]


def test_the_bandit_may_stand_anywhere_and_have_options(capsys):
    assert place(["ucb", "bellmax:BernoulliBandit"]) == place(["bellmax:BernoulliBandit", "ucb"])
    assert place(["ucb"]) == "bellmax:GaussianBandit"
    (found,) = facts(["bellmax:GaussianBandit", "ucb", *FEW, "--set", "arms=2", "--set", "noise=0.01"], capsys)
    assert found["optimal"] > 0.6
    (one,) = facts(["ucb", *FEW, "--set", "arms=1"], capsys)
    assert (one["optimal"], one["regret"]) == (1, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "which algorithm? `bellmax bandit ALGORITHM ...`, of"),
        ("epsilon-gredy", "There is no algorithm 'epsilon-gredy': did you mean epsilon-greedy?"),
        ("ucb --problems 0", "--problems 0: give at least 1."),
        ("ucb epsilon-greedy --over c=1,2", "--over c=1,2: there are 2 algorithms; give one alone."),
        ("ucb --over c", "--over c: write FLAG=A,B,.."),
        ("ucb bellmax:GaussianBandit bellmax:BernoulliBandit", "play one bandit at a time"),
        ("ucb bellmax:CartPole", "CartPole has no `means` to count regret from"),
        ("ppo", "bandits are learned from pull by pull"),
    ],
)
def test_what_is_wrong_is_one_line(words, message, capsys):
    assert main(["bandit", *words.split()]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


def test_three_panels_with_the_curves_of_each():
    curves = [np.linspace(0, top, 30) for top in (1.0, 0.8, 12.0)]
    played = {
        name: Played(play_of(*(curve * scale for curve in curves)), 0.1) for name, scale in (("a", 1.0), ("b", 0.5))
    }
    figure = plot_lines(panels(played))
    assert [axes.get_ylabel() for axes in figure.axes] == ["reward", "optimal action", "regret so far"]
    assert all(axes.get_xlabel() == "step" for axes in figure.axes)
    for axes, curve in zip(figure.axes, curves):
        first, second = axes.lines
        np.testing.assert_array_equal(first.get_ydata(), curve)
        np.testing.assert_array_equal(second.get_ydata(), curve * 0.5)
        assert (first.get_xdata()[0], first.get_xdata()[-1]) == (1, 30)


def play_of(reward, optimal, regret):
    from bellmax.drivers.bandit import Play

    return Play(reward, optimal, regret, regret, regret, None)
