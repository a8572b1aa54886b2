"""Several answers to a prompt: the best of them, and pairs that a judge compared."""

import json
import math

import numpy as np
import pytest

import bellmax as bm
from bellmax.cli.main import main
from bellmax.language.folder import write_model
from tests.alignment.small import SETTINGS, TOKENISER, every_e, made_model

PROMPTS = ["abcd=", "e=", "fa="]
SAMPLING = bm.Sampling(max_tokens=6)
PRINCIPLE = "Prefer more of the letter e."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model"
    TOKENISER.write(path)
    return str(write_model(path, made_model(), extra=TOKENISER.config))


def more_e(prompt, a, b, principle):
    assert principle == PRINCIPLE
    return 0.5 + 0.5 * np.sign(a.count("e") - b.count("e"))


def test_the_best_of_several_is_the_best_and_more_are_better(folder):
    few, many = (bm.best_of(folder, PROMPTS, {"e": every_e}, n, sampling=SAMPLING) for n in (2, 24))
    for best in (few, many):
        by_hand = np.array([[text.count("e") / 6 for text in texts] for texts in best.candidates])
        np.testing.assert_allclose(best.rewards, by_hand)
        np.testing.assert_allclose(best.reward, by_hand.max(1))
        assert best.texts == [texts[i] for texts, i in zip(best.candidates, by_hand.argmax(1))]
    assert many.rewards.shape == (3, 24)
    assert many.reward.mean() > few.rewards.mean() + 0.1
    assert len({tuple(texts) for texts in many.candidates}) == 3, "every prompt has answers of its own"
    one = bm.best_of(folder, "abcd=", {"e": (every_e, -1.0)}, 4, sampling=SAMPLING)
    assert one.reward[0] == one.rewards.max() <= 0, "a weight counts"
    # Rows that the reward reads; in parts of other sizes the same answers come.
    rows = [{"prompt": prompt, "wanted": "b"} for prompt in PROMPTS * 20]
    read = bm.best_of(folder, rows, {"w": lambda p, c, row: c.count(row["wanted"])}, 2, sampling=SAMPLING)
    assert read.reward[0] == max(text.count("b") for text in read.candidates[0])
    assert read.candidates[:3] != read.candidates[3:6], "keys differ from row to row"


def test_a_judges_pairs_teach_a_reward_model(folder):
    prompts = [{"prompt": prompt, "topic": number} for number, prompt in enumerate(PROMPTS * 10)]
    labels = bm.judged_pairs(folder, prompts, more_e, [PRINCIPLE], sampling=SAMPLING)
    assert len(labels.rows) > 5
    assert all(row["chosen"].count("e") > row["rejected"].count("e") for row in labels.rows)
    assert labels.first == pytest.approx(0.5), "this judge does not mind the order"
    assert {"prompt", "chosen", "rejected", "margin", "topic"} == set(labels.rows[0])
    run = bm.align(
        SETTINGS["reward"], folder, labels.rows, steps=40, run_folder=None, display="quiet", track=()
    )  # and what it taught picks as the judge would
    best = bm.best_of(folder, PROMPTS, run, 16, sampling=SAMPLING)
    assert np.mean([text.count("e") for text in best.texts]) > 2 * np.mean(
        [text.count("e") for texts in best.candidates for text in texts]
    )


def test_the_commands(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def longer(prompt, a, b, principle):\n    return len(a) > len(b)\n")
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": p}) + "\n" for p in PROMPTS * 3))
    short = ["--max-tokens", "6"]
    words = [folder, "prompts.jsonl", "--judge", "mine:longer", "--principle", "Longer is better.", *short]
    assert main(["label", *words]) == 0
    assert "undecided, 0 failed" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert rows
    assert all(len(row["chosen"]) > len(row["rejected"]) for row in rows)
    assert main(["label", *words]) == 1
    assert "it is there already" in capsys.readouterr().err
    assert main(["label", *[w.replace("longer", "shorter") for w in words], "--out", "other.jsonl"]) == 1
    assert "the judge 'mine:shorter'" in capsys.readouterr().err
    assert main(["generate", folder, "abcd=", *short, "--best-of", "8", "--reward", "contains:e", "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["reward"] == ("e" in line["answer"])
    assert main(["generate", folder, "abcd=", "--best-of", "8"]) == 1
    assert "go together" in capsys.readouterr().err


def test_numbers_that_make_no_sense(folder):
    with pytest.raises(ValueError, match="n = 0: give a whole number of at least 1"):
        bm.best_of(folder, PROMPTS, {"e": every_e}, 0)
    assert math.isfinite(bm.best_of(folder, "a=", {"e": every_e}, 1, sampling=SAMPLING).reward[0])
