"""The doctor: one made-up history for each failure, and healthy ones without a finding."""

import importlib
import inspect
import re
import typing

import numpy as np
import pytest

from bellmax.core import Frozen
from bellmax.language.doctor import diagnose

ROWS = 100
TIME = np.linspace(0, 1, ROWS)


def noise(seed, size):
    return size * np.random.default_rng(seed).normal(size=ROWS)


def history(**columns):
    return [
        {"step": 10 * i} | {name: float(np.broadcast_to(x, ROWS)[i]) for name, x in columns.items()}
        for i in range(ROWS)
    ]


HEALTHY_COLUMNS = {
    "score": 0.3 + 0.6 * TIME + noise(0, 0.03),
    "reward/reverse": 0.3 + 0.6 * TIME + noise(0, 0.03),
    "gold/reverse": 0.3 + 0.6 * TIME + noise(1, 0.03),
    "kl": 5 * TIME + noise(2, 0.3),
    "entropy": 1.2 - 0.8 * TIME + noise(3, 0.02),
    "same_rewards": 0.2 + 0.3 * TIME + noise(4, 0.03),
    "ended": np.full(ROWS, 0.97),
    "length": 9 + noise(5, 0.1),
    "clip_fraction": 0.1 + noise(6, 0.02),
}
DPO_COLUMNS = {
    "loss": 0.69 - 0.3 * TIME,
    "log_prob_chosen": -40 + 2 * TIME + noise(7, 1.0),
    "log_prob_rejected": -40 - 15 * TIME + noise(8, 1.0),
}


def ill(**columns):
    return history(**HEALTHY_COLUMNS | columns)


def solved(score):
    """A run that ends with all groups right: alike, certain, and well."""
    return ill(score=score, entropy=1.2 * np.exp(-6 * TIME), same_rewards=TIME)


def late(level, start=50):
    """0 up to row `start`, then `level`."""
    return np.where(np.arange(ROWS) >= start, level, 0.0)


LONGER = 20 + 30 * TIME + noise(9, 3.0)
PAID_BY_LENGTH = 0.02 * LONGER - 0.3 * TIME + noise(10, 0.005)  # rises by .3, of which length pays .6

HISTORIES = {
    "negative KL": ill(kl=-0.3 + noise(11, 0.2)),
    "exploding KL": ill(kl=1.0 + late(40.0) + noise(12, 0.1)),
    "entropy collapse": ill(entropy=1.2 - late(1.19), score=0.3 + late(0.1)),
    "groups without differences": ill(same_rewards=0.3 + late(0.6), score=np.full(ROWS, 0.02)),
    "truncated answers": ill(ended=0.9 - late(0.6)),
    "steps too long": ill(clip_fraction=0.1 + late(0.35)),
    "reward hacking": ill(
        **{"score": 2 * TIME + noise(13, 0.05), "gold/human": 4 * TIME * (1 - TIME) + noise(14, 0.05)}
    ),
    "chosen and rejected both falling": history(
        **DPO_COLUMNS | {"log_prob_chosen": -40 - 12 * TIME + noise(7, 1.0), "log_prob_rejected": -40 - 30 * TIME}
    ),
}
HEALTHY = {
    "GRPO or PPO": ill(),
    "DPO": history(**DPO_COLUMNS),
    "DPO, chosen a little less likely": history(**DPO_COLUMNS | {"log_prob_chosen": -40 - 2 * TIME + noise(7, 0.5)}),
    "solved": solved(np.minimum(0.3 + 2 * TIME, 0.97)),
    "solved, in another unit": solved(-3 + 8 * TIME),
    "KL around zero at the beginning": ill(kl=noise(15, 0.3)),
    "KL that grows steadily": ill(kl=25 * TIME + noise(15, 0.3)),
    "longer and better for it": ill(length=LONGER, score=0.01 * LONGER + 0.2 * TIME + noise(16, 0.005)),
    "longer, and it does not matter": ill(length=LONGER),
    "gold that rises more slowly": ill(**{"gold/human": 0.3 + 0.1 * TIME + noise(17, 0.05)}),
    "gold that only wavers": ill(**{"gold/human": noise(18, 0.2)}),
    "a score without gold that falls": ill(**{"score": 0.9 - 0.6 * TIME, "gold/human": 0.9 - 0.6 * TIME}),
    "one bad row": ill(ended=np.where(np.arange(ROWS) == 60, 0.0, 0.97), kl=5 * TIME + 100 * (np.arange(ROWS) == 40)),
    "SFT": history(loss=3 - TIME, entropy=2 - 0.5 * TIME),
    "SFT, by heart": history(loss=3 * np.exp(-6 * TIME), entropy=2 * np.exp(-6 * TIME)),
    "nothing": [],
    "too short to say": ill(ended=np.zeros(ROWS))[:7],
    "bad at first": ill(ended=0.2 + late(0.7, start=20)),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_each_failure_is_found_and_no_other(name):
    found = diagnose(HISTORIES[name])
    assert [finding.name for finding in found] == [name]
    assert "`" in found[0].remedy


@pytest.mark.parametrize("name", HEALTHY)
def test_the_healthy_are_left_alone(name):
    assert diagnose(HEALTHY[name]) == []


@pytest.mark.parametrize("seed", range(30))
def test_noise_is_no_illness(seed):
    draw = np.random.default_rng(seed)
    columns = {name: np.mean(x) + 0.1 * draw.normal(size=ROWS) for name, x in HEALTHY_COLUMNS.items() if name != "kl"}
    still = history(**columns, kl=0.2 * draw.normal(size=ROWS), log_prob_chosen=-40 + draw.normal(size=ROWS))
    assert diagnose([row | {"log_prob_rejected": row["log_prob_chosen"] - 1} for row in still]) == []


def test_the_best_window_of_noise_is_no_peak():
    """A score that rises beside a gold reward that stays: its best window is high by luck alone."""
    found = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        score, gold = 2 * TIME + 0.05 * draw.normal(size=ROWS), draw.normal(size=ROWS)
        found += bool(diagnose(history(**{"score": score, "gold/human": gold})))
    assert found == 0


def test_it_says_since_when():
    """The condition came at row 50, step 500; a window of ten rows has seen enough of it within ten rows."""
    for name in (
        "exploding KL",
        "entropy collapse",
        "groups without differences",
        "truncated answers",
        "steps too long",
    ):
        assert 500 <= diagnose(HISTORIES[name])[0].since_step <= 590
    hacked = diagnose(HISTORIES["reward hacking"])[0]
    assert 350 <= hacked.since_step <= 650, "gold is at its best in the middle, at step 500"
    assert "gold/human" in hacked.what
    assert f"step {hacked.since_step}" in hacked.remedy


def test_length_that_is_paid_for_is_seen_without_gold():
    rows = ill(length=LONGER, score=PAID_BY_LENGTH)
    assert [finding.name for finding in diagnose(rows)] == ["reward hacking"]
    assert "at equal length it falls" in diagnose(rows)[0].what
    # as long, and paid for as well, but better at equal length
    assert diagnose(ill(length=LONGER, score=PAID_BY_LENGTH + 0.6 * TIME)) == []


def test_what_the_best_score_is_can_be_said():
    stuck = solved(np.minimum(0.3 + 2 * TIME, 0.5))  # certain of half of the answers
    assert {finding.name for finding in diagnose(stuck)} == {"entropy collapse", "groups without differences"}
    assert diagnose(stuck, best=0.5) == []
    in_another_unit = solved(-3 + 8 * TIME)
    assert {finding.name for finding in diagnose(in_another_unit, best=20.0)} == {
        "entropy collapse",
        "groups without differences",
    }


def test_missing_and_broken_numbers_are_passed_over():
    rows = [
        row | {"kl": None if i % 2 else row["kl"], "ended": float("nan")}
        for i, row in enumerate(HISTORIES["negative KL"])
    ]
    assert [finding.name for finding in diagnose(rows)] == ["negative KL"]
    assert [finding.name for finding in diagnose([{"ended": 0.1}] * 20)] == ["truncated answers"], "rows without steps"


def fields(kind, before=""):
    """All fields of an algorithm by their full names."""
    found = set()
    for name, hint in typing.get_type_hints(kind).items():
        found.add(before + name)
        if inspect.isclass(hint) and issubclass(hint, Frozen):
            found |= fields(hint, f"{before}{name}.")
    return found


def test_remedies_name_real_fields():
    places = {"grpo": "GRPO", "ppo_lm": "PPOLM", "dpo": "DPO", "orpo": "ORPO"}
    modules = {kind: importlib.import_module(f"bellmax.algorithms.language.{name}") for name, kind in places.items()}
    known = set().union(*(fields(getattr(module, kind)) for kind, module in modules.items()))
    assert "experience.sampling.max_tokens" in known
    told = [finding for rows in HISTORIES.values() for finding in diagnose(rows)]
    told += diagnose(ill(length=LONGER, score=PAID_BY_LENGTH))
    named = {name for finding in told for name in re.findall(r"`([^`]+)`", finding.remedy)}
    assert named <= known
    assert len(named) >= 12
