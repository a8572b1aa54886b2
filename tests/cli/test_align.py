"""The commands of language models: what is asked for, wherever the flags stand."""

import pytest
from tests.alignment.small import SETTINGS, TASK, small_model

import bellmax as bm
from bellmax.cli import hyperparameters
from bellmax.cli.align import understand
from bellmax.cli.main import main
from bellmax.recipes import find_language


def ask(words):
    parsed, default = understand(words.split(), "grpo")
    return parsed, default, hyperparameters.changed(parsed.GRPO, default)


RECIPE, STEPS = find_language("grpo", "reverse")  # type: ignore[misc]


@pytest.mark.parametrize("words", ["reverse", "--model tiny reverse", "--seed 3 reverse", "reverse --model tiny"])
def test_the_recipe_is_that_of_the_data_wherever_flags_stand(words):
    parsed, default, changed = ask(words)
    assert default == RECIPE != bm.GRPO()
    assert (parsed.GRPO, parsed.run.steps, changed) == (RECIPE, STEPS, {})


def test_flags_change_the_recipe_and_nothing_else_of_it():
    parsed, _, changed = ask("--kl-weight 0.5 reverse --steps 7")
    assert RECIPE.replace(kl_weight=0.5) == parsed.GRPO
    assert (changed, parsed.run.steps) == ({"kl_weight": 0.5}, 7)


def test_a_file_has_no_recipe():
    parsed, default, changed = ask("rows.jsonl")
    assert (parsed.GRPO, default, parsed.run.steps, changed) == (bm.GRPO(), bm.GRPO(), None, {})


def test_a_run_says_its_recipe_also_after_it_went_on(tmp_path, capsys):
    words = "--steps 1 --learning-rate 1e-4 --quiet --track none --name one"
    assert main(["sft", "copy", *words.split(), "--run-folder", str(tmp_path)]) == 0
    run = bm.load(tmp_path / "one")
    assert run.plan.recipe == "sft on copy"
    assert run.plan.algorithm.learning_rate == 1e-4
    assert bm.resume(tmp_path / "one", steps=2, display="quiet").plan.recipe == "sft on copy"
    own = bm.align(SETTINGS["sft"], small_model(), TASK, steps=1, run_folder=None, display="quiet", track=())
    assert own.plan.recipe is None, "the control: an object of one's own has none"


@pytest.mark.parametrize("name", ["nowhere.jsonl", "rows.csv", "folder/rows"])
def test_what_looks_like_a_file_is_not_taken_for_a_task(name):
    with pytest.raises((FileNotFoundError, ValueError), match=name) as error:
        bm.align(SETTINGS["sft"], small_model(), name, steps=1, run_folder=None, display="quiet", track=())
    assert "task" not in str(error.value)


def test_a_file_without_an_ending_is_read_where_it_is_there(tmp_path, monkeypatch):
    (tmp_path / "reverse").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="reverse"):
        bm.align(SETTINGS["sft"], small_model(), "reverse", steps=1, run_folder=None, display="quiet", track=())
