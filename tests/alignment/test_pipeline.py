"""The whole of RLHF on a small task: the table says what the three runs say."""

import shutil

import jax
import numpy as np
import pytest

import bellmax as bm
from bellmax.alignment.pipeline import MANY, frontier, pipeline
from bellmax.cli.main import main
from bellmax.language.adapters import as_it_was
from bellmax.language.best_of import kl_of_best
from bellmax.language.doctor import FEWEST
from tests.alignment.small import KEPT_QUIET, SETTINGS, SHAPE, TASK, TOKENISER, every_e, made_model


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return pipeline(
        TASK, model=SHAPE, sft_steps=4, reward_steps=3, ppo_steps=3, prompts=6, settings=SETTINGS, display="quiet",
        run_folder=tmp_path_factory.mktemp("runs"),
    )  # fmt: skip


def test_each_run_begins_where_the_one_before_it_ended(made):
    sft, ppo = made.sft.model, as_it_was(made.ppo.state.model, made.ppo.state.before)
    np.testing.assert_array_equal(sft.embedding, ppo.embedding)
    assert made.ppo.plan.materials.rewards.weights == {"reward model": 1.0, "right": 0.0}
    assert {"reward/reward model", "gold/right", "kl"} <= set(made.ppo.metrics[-1]), "what has no weight is watched"
    assert made.ppo.scores[0] == pytest.approx([row["reward/reward model"] for row in made.ppo.metrics])


def test_the_table_has_a_row_for_each_policy(made, tmp_path):
    assert [row["policy"] for row in made.table] == ["before (SFT)", f"best of {MANY}", "after (PPO)"]
    before, best, after = made.table
    assert best["reward model"] >= before["reward model"], "the best of many is no worse than their mean"
    assert (before["kl"], best["kl"]) == (0, pytest.approx(kl_of_best(MANY)))
    assert after["kl"] == made.ppo.metrics[-1]["kl"]
    assert 0 <= after["right"] <= 1
    assert made.samples[0].keys() == {"prompt", "before", "after"}
    assert frontier(made.ppo, tmp_path / "frontier.png").stat().st_size > 10_000


def test_its_runs_are_found_again_even_where_they_were_moved(made, tmp_path):
    first, moved = made.ppo.folder.path.parent, tmp_path / "moved"
    shutil.copytree(first, moved)
    hidden = first.rename(first.with_name("gone"))  # nothing is left where the runs were made
    try:
        again = bm.load(moved / made.ppo.folder.path.name)
    finally:
        hidden.rename(first)
    assert again.plan.materials.rewards.weights == {"reward model": 1.0, "right": 0.0}
    jax.tree.map(np.testing.assert_array_equal, again.model, made.ppo.model)
    assert bm.load(made.ppo.folder.path).plan.materials.reward_names["right"] == ["task", 0.0]


def test_the_doctor_sees_what_goes_wrong():
    """A far too large learning rate: everything collapses onto one answer."""
    run = bm.align(
        SETTINGS["grpo"].replace(learning_rate=0.3), made_model(), TASK, tokeniser=TOKENISER, reward=every_e,
        steps=4 * FEWEST, run_folder=None, **KEPT_QUIET,
    )  # fmt: skip
    assert run.findings
    assert all(finding.remedy for finding in run.findings)


def test_a_misspelt_task_is_said_on_the_command_line(capsys):
    assert main(["pipeline", "revers"]) == 1
    assert "did you mean 'reverse'" in capsys.readouterr().err
