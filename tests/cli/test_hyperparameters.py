"""Flags made from algorithms: every field, with its comment, range and default; words to values and back."""

import dataclasses
import re
from typing import get_args

import pytest

from bellmax.algorithms.policy.ppo import PPO
from bellmax.catalogue import ALGORITHMS, algorithm_class, as_published
from bellmax.cli import flags, hyperparameters
from bellmax.cli.flags import whole
from bellmax.cli.hyperparameters import comments, scheduled, written
from bellmax.core import Env, Frozen
from bellmax.experience import Episodes, Steps
from bellmax.maths.schedules import Linear
from bellmax.ranges import Count, Unit


def read(words, kind=PPO, **options):
    return flags.parse(kind, words, "train", hyperparameters.registry(), **options)


def help_of(kind, capsys, **options):
    with pytest.raises(SystemExit) as left:
        read(["--help"], kind, **options)
    assert left.value.code == 0
    return re.sub(r"\s+", " ", capsys.readouterr().out.replace("│", " "))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_help_has_every_field_of_every_algorithm_with_its_comment_and_default(name, capsys):
    kind = algorithm_class(name)
    text = help_of(kind, capsys)
    for field in dataclasses.fields(kind):
        assert field.name in comments(kind), f"{kind.__name__}.{field.name} has no comment"
    assert_documented(as_published(kind), text)


def assert_documented(value, text, prefix=""):
    """Every field has a flag with its comment and its default; those of a nested dataclass in their own words."""
    said = comments(type(value))
    assert said
    for field in dataclasses.fields(value):
        name, default = f"{prefix}{field.name}", getattr(value, field.name)
        if Env in get_args(type(value)._hints[field.name]):
            assert f"--{name}" not in text, "the environment is said by its name"
            continue
        if isinstance(default, Frozen) and not isinstance(default, Linear):
            assert_documented(default, text, f"{name}.")
            continue
        shown = default
        if isinstance(default, tuple):
            shown = " ".join(map(str, default))
        elif isinstance(default, float | Linear):
            shown = written(default)
        flag, words = f"--{name.replace('_', '-')}", said.get(field.name, "")
        found = re.search(rf"{flag}[ ,][^(]*?{re.escape(words)}[^(]*\(default: ([^)]*)\)", text)
        assert found, f"{flag} is not documented"
        assert found[1] == str(shown) or float(found[1]) == default


def test_comments_are_those_behind_the_fields():
    assert comments(PPO)["gamma"] == "discount"
    assert comments(PPO)["experience"].startswith("T: steps of every environment")

    class Made(Frozen):
        first: int = 1  # a # within, and (brackets)
        second: tuple[int, ...] = (
            1,
            2,
        )  # over several lines
        third: float = 0.5

    assert comments(Made) == {"first": "a # within, and (brackets)", "second": "over several lines"}


def test_a_class_whose_source_is_gone_has_no_comments():
    space = {"__annotations__": {"size": int}, "size": 3, "__module__": "bellmax.core"}
    assert comments(type("Gone", (Frozen,), space)) == {}


def test_without_flags_the_defaults_are_those_of_the_dataclass():
    assert read([]) == PPO()


def test_every_kind_of_field_is_read():
    words = "--gamma 0.9 --epochs 7 --hidden 32 16 8 --activation relu --shared --no-standardise-advantage"
    words += " --experience.length 1k --clip linear:0.3:0.1:2e3 --learning-rate 1e-3 --max_grad_norm 1"
    wanted = PPO(
        gamma=0.9,
        epochs=7,
        hidden=(32, 16, 8),
        activation="relu",
        shared=True,
        standardise_advantage=False,
        experience=Steps(1000),
        clip=Linear(0.3, 0.1, 2000.0),
        learning_rate=0.001,
        max_grad_norm=1.0,
    )
    assert read(words.split()) == wanted


def test_the_defaults_of_a_recipe_are_shown_and_kept(capsys):
    recipe = PPO(gamma=0.9, experience=Steps(32), clip=Linear(0.2, 0.0))
    text = help_of(PPO, capsys, default=recipe)
    assert "(default: linear:0.2:0)" in text
    assert "(default: 32)" in text
    assert read(["--epochs", "3"], default=recipe) == recipe.replace(epochs=3)


def test_nested_dataclasses_are_read_field_by_field():
    class Learner(Frozen):
        experience: Episodes = Episodes(64, group=8)  # what is eaten
        rate: Unit = 0.5

    got = read(["--experience.group", "4"], Learner)
    assert got == Learner(Episodes(64, group=4))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--gamma 2", "PPO.gamma = 2.0: it must be in [0, 1]."),
        ("--epochs 0", "PPO.epochs = 0: it must be at least 1."),
        ("--learning-rate -1", "PPO.learning_rate = -1.0: it must be at least 0."),
        ("--hidden 64 0", "PPO.hidden = (64, 0): it must be at least 1."),
        ("--experience.length 0", "Steps.length = 0: it must be at least 1."),
        ("--learning-rate linear:1:0:0", "--learning-rate: 'linear:1:0:0': give the schedule at least 1 step."),
        ("--epochs 2.5", "--epochs: '2.5' is no whole number"),
        ("--gamma high", "--gamma: could not convert string to float: 'high'"),
        ("--learning-rate linar:1:0", "--learning-rate: 'linar:1:0': write a number, linear:START:END"),
        ("--learning-rate linear:1", "--learning-rate: 'linear:1' is no schedule: write linear:START:END"),
        ("--gama 0.9", "--gamma FLOAT"),
        ("--learningrate 1", "--learning-rate SCHEDULE"),
    ],
)
def test_a_wrong_value_names_the_field_the_value_and_what_is_allowed(words, said, capsys):
    with pytest.raises((SystemExit, ValueError)) as left:
        read(words.split())
    text = capsys.readouterr().err if isinstance(left.value, SystemExit) else str(left.value)
    assert said in re.sub(r"\s+", " ", text.replace("│", " "))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[
            ("7", 7),
            ("1e5", 10**5),
            ("100_000", 10**5),
            ("100k", 10**5),
            ("1.5M", 1_500_000),
            ("2b", 2 * 10**9),
            ("-3", -3),
        ],
        *[("1.001k", 1001), ("2.5e1", 25), ("9007199254740993", 2**53 + 1)],  # in floats the last is 2^53
    ],
)
def test_whole_numbers_can_be_written_as_people_write_them(text, number):
    assert whole(text) == number


@pytest.mark.parametrize("text", ["", "many", "1.5", "1e-3", "k", "1kk", "_", "0x10", "nan", "inf", "1e999"])
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(ValueError, match="is no whole number: write 100000, 100_000, 100k or 1e5"):
        whole(text)


def test_schedules_are_read_and_written():
    assert scheduled("0.001") == 0.001
    assert scheduled("linear:0.001:0") == Linear(0.001, 0.0)
    assert scheduled("linear:0.001:0:50k") == Linear(0.001, 0.0, 50_000.0)
    for text in ("0.001", "linear:0.2:0", "linear:0.2:0.1:50000"):
        assert written(scheduled(text)) == text


def test_a_field_without_a_range_says_none(capsys):
    class Plain(Frozen):
        size: Count = 3  # how large
        name: str = "x"  # what it is called

    text = help_of(Plain, capsys)
    assert "how large; at least 1 (default: 3)" in text
    assert "what it is called (default: x)" in text
