"""Built-in tasks: rows are a function of the seed, verifiers are strict, and what is held out stays held out."""

import itertools
import json
import sys
import types
from fractions import Fraction

import pytest

from bellmax.language.extraction import EXTRACTIONS, after_hashes, boxed, last_number, tagged, whole
from bellmax.language.tasks import (
    TASKS,
    Addition,
    AnswerFormat,
    Copy,
    Countdown,
    ReasoningGym,
    Reverse,
    Sort,
    find_task,
    is_held_out,
)
from bellmax.language.tasks.countdown import evaluated

ALL = [kind() for kind in TASKS.values()]
WAYS = [Reverse(length=4, extraction=way, template="turn {}: ") for way in EXTRACTIONS if way != "number"]
EVERY = [*ALL, *WAYS, Addition(digits=3, extraction="number"), Sort(length=3, symbols="zyx", partial_credit=True)]
ids = [f"{type(task).__name__}-{task.extraction}" for task in EVERY]


@pytest.mark.parametrize("task", EVERY, ids=ids)
def test_rows_are_a_function_of_the_seed_and_right(task):
    rows = task.rows(3, 60) if task.symbols_used != "zyx" else task.rows(3, 20)
    assert rows == task.rows(3, len(rows))
    assert rows[:7] == task.rows(3, 7), "asking for more changes nothing of the first"
    assert rows != task.rows(4, len(rows))
    assert [task.reward(row["prompt"], row["completion"], row) for row in rows] == [1.0] * len(rows)
    assert json.loads(json.dumps(rows)) == rows
    assert {c for row in rows for c in row["prompt"] + row["completion"]} <= set(task.alphabet)
    assert list(task.alphabet) == sorted(set(task.alphabet))


@pytest.mark.parametrize("task", ALL, ids=TASKS)
def test_what_is_held_out_is_never_trained_on(task):
    train = {row["prompt"] for seed in range(3) for row in task.rows(seed, 150)}
    held_out = [row["prompt"] for row in task.rows(1, 60, held_out=True)]
    assert not train & set(held_out)
    assert len(set(held_out)) == 60, "there are enough of them: none comes twice"


def test_the_split_takes_an_eighth_whatever_the_seed():
    prompts = [f"{a}+{b}=" for a in range(100) for b in range(100)]
    held_out = {prompt for prompt in prompts if is_held_out(prompt)}
    assert abs(len(held_out) - 10_000 / 8) < 4 * 33, "a binomial count with deviation 33"
    for seed in (0, 1):
        assert {row["prompt"] for row in Addition().rows(seed, 1100, held_out=True)} <= held_out
        assert not {row["prompt"] for row in Addition().rows(seed, 1000)} & held_out


def test_small_tasks_repeat_and_tiny_ones_are_refused():
    rows = Copy(length=1, symbols="abcdefghij").rows(0, 40)
    assert len(rows) == 40
    assert len({row["prompt"] for row in rows}) >= 7, "all that are not held out come before many come again"
    only = Copy(length=1, symbols="a")  # one prompt is on one side
    side = is_held_out("a=")
    assert len(only.rows(0, 5, held_out=side)) == 5
    with pytest.raises(ValueError, match="Copy: it has too few prompts, and none to"):
        only.rows(0, 5, held_out=not side)


def test_right_answers_by_hand():
    def right(task):
        row = task.rows(0, 1)[0]
        return row["prompt"], row["completion"]

    prompt, completion = right(Copy())
    assert completion == prompt[:-1]
    assert len(completion) == 8
    prompt, completion = right(Reverse())
    assert completion == "".join(reversed(prompt[:-1]))
    prompt, completion = right(Sort())
    assert [int(c) for c in completion] == sorted(int(c) for c in prompt[:-1])
    assert len(completion) == 6
    prompt, completion = right(Addition())
    one, other = prompt[:-1].split("+")
    assert int(one) + int(other) == int(completion)
    assert max(int(one), int(other)) <= 99
    assert Sort(length=3, symbols="zyx").rows(0, 1)[0]["answer"] in {
        "".join(x) for x in itertools.combinations_with_replacement("zyx", 3)
    }


@pytest.mark.parametrize(
    ("task", "answer", "completion", "reward"),
    [
        (Reverse(), "abc", "abc", 1.0),
        (Reverse(), "abc", "abc ", 0.0),
        (Reverse(), "abc", "abcabc", 0.0),
        (Reverse(), "abc", "", 0.0),
        (Reverse(), "abc", "abd", 0.0),
        (Reverse(partial_credit=True), "abc", "abd", 2 / 3),
        (Reverse(partial_credit=True), "abc", "abcd", 3 / 4),
        (Reverse(partial_credit=True), "abc", "abc" * 50, 3 / 150),
        (Reverse(partial_credit=True), "abc", "", 0.0),
        (Reverse(extraction="tags"), "abc", "so: <answer> abc </answer>\n", 1.0),
        (Reverse(extraction="tags"), "abc", "abc", 0.0),
        (Reverse(extraction="tags"), "abc", "<answer>abc</answer><answer>abc</answer>", 0.0),
        (Reverse(extraction="boxed"), "abc", "is \\boxed{abc}.", 1.0),
        (Addition(extraction="number"), "1055", "it is 1,055", 1.0),
        (Addition(), "55", "055", 0.0),
        (AnswerFormat(), "abc", "<answer>anything</answer>", 1.0),
        (AnswerFormat(), "abc", "abc", 0.0),
    ],
)
def test_rewards_by_hand(task, answer, completion, reward):
    assert task.reward("?", completion, {"answer": answer}) == pytest.approx(reward)


@pytest.mark.parametrize("task", EVERY, ids=ids)
def test_preferences_choose_the_right_answer(task):
    pairs = task.preferences(5, 20)
    assert pairs == task.preferences(5, 20)
    for row in pairs:
        assert task.reward(row["prompt"], row["chosen"], row) == 1
        assert task.reward(row["prompt"], row["rejected"], row) < 1
        assert "completion" not in row
    assert [row["prompt"] for row in pairs] == [row["prompt"] for row in task.rows(5, 20)]
    assert {c for row in pairs for c in row["rejected"]} <= set(task.alphabet)


COUNTDOWN = {"numbers": [3, 5, 7, 7], "target": 22}


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        ("3*5+7", 1.0),
        ("(3 * 5) + 7", 1.0),
        ("7+3*5+7-7", 0.0),  # 7 three times
        ("7/7+3*7", 0.0),  # 7 three times, though it is 22
        ("3*5+7+7/7", 0.0),
        ("22", 0.0),  # not among the numbers
        ("3*5+07", 0.0),
        ("3**5", 0.0),
        ("7//3", 0.0),
        ("-3+5", 0.0),
        ("3*5+7 #", 0.0),
        ("3*5+7\n", 0.0),
        ("__import__('os')", 0.0),
        ("3(5)", 0.0),
        ("7/(7-7)", 0.0),
        ("5/(3-3)", 0.0),
        ("", 0.0),
        ("()", 0.0),
        ("(" * 5000 + "3" + ")" * 5000, 0.0),
        ("3+" * 90 + "5", 0.0),
        ("3,5", 0.0),
        ("3<5", 0.0),
        ("3.0*5+7", 0.0),
        ("7+5+3+7", 1.0),  # 22 too, all of them used
    ],
)
def test_countdown_by_hand(answer, reward):
    assert Countdown().reward("", answer, COUNTDOWN) == reward
    legal = evaluated(answer, COUNTDOWN["numbers"]) is not None
    assert Countdown(partial_credit=True).reward("", answer, COUNTDOWN) == (1.0 if reward else 0.1 * legal)


def test_countdown_is_exact_and_keeps_count():
    assert evaluated("7/3", [3, 7]) == Fraction(7, 3)
    assert evaluated("(7/3)*3", [3, 7]) is None, "there is one 3"
    assert evaluated("(7/3)*3", [3, 3, 7]) == 7
    assert evaluated("5-7", [5, 7]) == -2
    assert Countdown().rows(0, 50)[9]["target"] not in Countdown().rows(0, 50)[9]["numbers"]


def test_countdown_uses_all_signs():
    answers = "".join(row["completion"] for row in Countdown(numbers=4).rows(0, 300))
    assert all(answers.count(sign) > 30 for sign in "+-*/")


@pytest.mark.parametrize(
    ("extract", "text", "answer"),
    [
        (whole, "a b", "a b"),
        (whole, "", None),
        (tagged, "<answer>4</answer>", "4"),
        (tagged, "<answer>\n4 5 \n</answer> \n", "4 5"),
        (tagged, "</answer>4<answer>", None),
        (tagged, "<answer>4</answer>.", None),
        (tagged, "<answer>4", None),
        (tagged, "<answer> </answer>", None),
        (tagged, "<answer><answer>4</answer>", None),
        (boxed, r"so \boxed{\frac{1}{2}} it is", r"\frac{1}{2}"),
        (boxed, r"\boxed{1} or \boxed{2}", None),
        (boxed, r"\boxed{1", None),
        (boxed, r"\boxed{}", None),
        (after_hashes, "2 + 2\n#### 4", "4"),
        (after_hashes, "#### 4\n", "4"),
        (after_hashes, "#### 4\nor so", None),
        (after_hashes, "#### 4 #### 5", None),
        (after_hashes, "####", None),
        (last_number, "3 and 4.", "4"),
        (last_number, "-3", "-3"),
        (last_number, "7-3", "3"),
        (last_number, "1,234.50 euros", "1234.50"),
        (last_number, "the 2nd", None),
        (last_number, "version 1.2.3", None),
        (last_number, "x2 = 5", "5"),
        (last_number, "none", None),
        (last_number, "٣", None),
    ],
)
def test_extraction_is_strict(extract, text, answer):
    assert extract(text) == answer


def test_tasks_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"Reverse\.template = 'turn': it must hold {} once"):
        Reverse(template="turn")
    with pytest.raises(ValueError, match="at least 1"):
        Reverse(length=0)
    with pytest.raises(ValueError, match="this task is about tags"):
        AnswerFormat(extraction="whole")
    with pytest.raises(ValueError, match="the row has no column 'answer'"):
        Reverse().reward("abc=", "cba", {"prompt": "abc="})
    with pytest.raises(ValueError, match="no task is called 'revers': did you mean 'reverse'"):
        find_task("revers")
    assert find_task("sort", length=4) == Sort(length=4)


class Legs:
    """A data set as reasoning-gym has them: item number i is drawn with seed + i."""

    def __init__(self, seed, size, most=50, kind=0.0, mute=False):
        self.seed, self.size, self.most, self.kind, self.mute = seed, size, most, kind, mute

    def __getitem__(self, index):
        if index >= self.size:
            raise IndexError
        legs = (self.seed + index) % 9973
        return {
            "question": f"{legs} legs?",
            "answer": None if self.mute else str(legs),
            "metadata": {"seed": self.seed + index},
        }

    def score_answer(self, answer, entry):
        if answer == entry["answer"]:
            return 1.0
        return max(0.25, self.kind) if entry["answer"] and entry["answer"] in answer else self.kind


@pytest.fixture
def gym(monkeypatch):
    def create_dataset(name, **config):
        return Legs(**config)

    factory = types.ModuleType("reasoning_gym.factory")
    factory.DATASETS, factory.create_dataset = {"leg_counting": Legs}, create_dataset
    monkeypatch.setitem(sys.modules, "reasoning_gym", types.ModuleType("reasoning_gym"))
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", factory)


@pytest.mark.usefixtures("gym")
def test_reasoning_gym_is_one_more_task():
    task = find_task("reasoning-gym:leg_counting", most=20)
    rows = task.rows(0, 30)
    assert rows == task.rows(0, 30)
    assert rows[:5] == task.rows(0, 5)
    assert not {r["prompt"] for r in rows} & {r["prompt"] for r in task.rows(0, 10, held_out=True)}
    # The package draws item i with seed + i: neighbouring seeds must not give the same rows, moved by one.
    assert len({r["prompt"] for r in rows} & {r["prompt"] for r in task.rows(1, 30)}) < 5
    row = rows[0]
    assert task.reward(row["prompt"], row["completion"], row) == 1
    assert task.reward(row["prompt"], row["answer"], row) == 0, "not in tags"
    long = f"<answer>{row['answer']}0</answer>"
    assert task.reward(row["prompt"], long, row) == 0
    assert ReasoningGym("leg_counting", partial_credit=True).reward(row["prompt"], long, row) == 0.25
    assert all(task.reward("", pair["rejected"], pair) < 1 for pair in task.preferences(0, 10))
    assert set(rows[0]["completion"]) <= set(task.alphabet)
    generous = ReasoningGym("leg_counting", kind=1.0)
    mute = ReasoningGym("leg_counting", mute=True)
    assert "completion" not in mute.rows(0, 1)[0]
    with pytest.raises(ValueError, match="has no right answers to prefer"):
        mute.preferences(0, 1)
    with pytest.raises(ValueError, match="no wrong answer to"):
        generous.preferences(0, 1)
    with pytest.raises(ValueError, match="did you mean 'leg_counting'"):
        ReasoningGym("leg_count")
    with pytest.raises(ValueError, match=r"options {'wings': 2} are not right"):
        ReasoningGym("leg_counting", wings=2)


def test_reasoning_gym_says_how_it_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)
    with pytest.raises(ImportError, match=r'pip install "bellmax\[reasoning\]"'):
        ReasoningGym("leg_counting")
