"""The gold reward by hand, what its labels are, and how curves are read; nothing is trained."""

import itertools

import numpy as np
import pytest

from bellmax.language.texts import Texts
from benchmarks.overoptimisation import gold as language
from benchmarks.overoptimisation.gold import FIRST, HELD_OUT, TOKENISER, TRAINED, Gold, people
from benchmarks.overoptimisation.models import labelled
from benchmarks.overoptimisation.page import Line, targets


@pytest.fixture(scope="module")
def gold():
    return Gold()


def texts(answers):
    """Rows of "ab=" and an answer, with its end, padded."""
    rows = [[*TOKENISER.encode("ab=" + answer), TOKENISER.end] for answer in answers]
    width = max(map(len, rows))
    tokens = np.array([row + [0] * (width - len(row)) for row in rows])
    there = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    weight = there * (np.arange(width) >= 3)
    return Texts(tokens, there, weight)


def test_the_gold_reward_letter_by_letter(gold):
    answers = ["aebkcccdddgh", "lll", "a"]
    for answer, said in zip(answers, gold(texts(answers))):
        sweet, salty = (sum(letter in kind for letter in answer) for kind in ("aei", "bfj"))
        x, y = (sweet - gold.usual[0]) / gold.spread[0], (salty - gold.usual[1]) / gold.spread[1]
        numbers = ["abcdefghijkl".index(letter) for letter in answer]
        neighbours = sum(gold.taste[i, j] for i, j in itertools.pairwise(numbers))
        raw = x - x**2 / 2.6 - y**2 / 2.6 + 0.5 * neighbours / 12**0.5
        assert said == pytest.approx(gold.scale * (raw - gold.mean))


def test_of_sweet_there_can_be_too_much(gold):
    """With neighbours of no taste: more sweet is better up to 1.3 deviations above what is usual, then worse."""
    gold = Gold()
    gold.taste = np.zeros_like(gold.taste)
    said = gold(texts(["b" * 3 + "a" * count + "c" * (9 - count) for count in range(10)]))
    best = gold.usual[0] + 1.3 * gold.spread[0]
    assert abs(said.argmax() - best) <= 0.5
    assert (np.diff(said)[: said.argmax()] > 0).all()
    assert (np.diff(said)[said.argmax() :] < 0).all()


def test_what_people_write_has_mean_0_and_deviation_2(gold):
    rng = np.random.default_rng(9)
    said = gold.of(people(rng, language.PROMPTS[rng.integers(144, size=20_000)]))
    assert (said.mean(), said.std()) == pytest.approx((0, 2), abs=0.06)
    assert not {tuple(x) for x in HELD_OUT} & {tuple(x) for x in TRAINED}


def test_labels_are_wrong_as_often_as_bradley_and_terry_say(gold):
    one, other = (texts([answer] * 20_000) for answer in ("aebkcccdddgh", "aebkcccdddgg"))
    gap = gold(one)[0] - gold(other)[0]
    chosen = labelled(gold, one, other, np.random.default_rng(0)).chosen.tokens[:, -2] == FIRST + 7  # h
    assert 0.05 < 1 / (1 + np.exp(-gap)) < 0.95
    assert chosen.mean() == pytest.approx(1 / (1 + np.exp(-gap)), abs=0.015)


def curves(peaks):
    """One seed of best-of-n; gold is 2 p d - d^2, with its peak at p, as high as p^2."""
    d = np.linspace(0, 3, 31)
    named = zip(("small", "medium", "large", "small, ensemble"), peaks)
    stopped = {"stopped early": {}}
    return {
        "best-of-n": {"0": {name: {"distance": d, "proxy": d, "gold": 2 * p * d - d**2} | stopped for name, p in named}}
    }


def test_peaks_and_targets_are_read_off_the_curves():
    line = Line("best-of-n", curves([1.0])["best-of-n"]["0"]["small"])
    assert line.peak == pytest.approx((1, 1))
    assert line.fit[1:] == pytest.approx((2, 1, 1))
    assert [met for _, met, _ in targets(curves([1.0, 1.5, 2.0, 1.2]))] == [True] * 6
    # negative controls: sizes the wrong way round, an ensemble that lowers the peak, a small one that never falls
    assert [met for _, met, _ in targets(curves([1.5, 1.0, 2.0, 1.2]))] == [True, True, False, False, True, False]
    assert [met for _, met, _ in targets(curves([3.0, 3.0, 3.0, 3.0]))] == [True, False, False, False, True, False]


def test_of_ppo_five_updates_are_averaged_and_the_policy_before_is_taken_off():
    kl = np.full(9, 4.0)
    said = {
        "kl": kl,
        "proxy": np.arange(9) + 1.0,
        "gold": [0, 0, 10, 0, 0, 0, 0, 0, 0],
        "before": {"proxy": 1, "gold": -1},
    }
    line = Line("ppo", said)
    assert line.peak == pytest.approx((2, 1 + 10 / 5)), "a lucky update is no peak of 11"
    assert line.smooth.proxy == pytest.approx([2, 3, 4, 5, 6])
    assert line.dip == 0
