"""The front door of language models: it learns, says what is wrong before any work, and goes on bit for bit."""

import dataclasses
import datetime
import json

import jax
import numpy as np
import pytest

import bellmax as bm
from bellmax.alignment import front
from bellmax.cli.main import main
from bellmax.language.tasks import Copy
from bellmax.language.transformer import Transformer
from bellmax.runs import RunFolder
from tests.alignment.small import KEPT_QUIET, SETTINGS, SHAPE, TASK, TOKENISER, every_e, made_model, small_model


def leaves(tree):
    return [np.asarray(jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
            for x in jax.tree.leaves(tree)]  # fmt: skip


def alike(one, two):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one.tree), leaves(two.tree), strict=True))


def aligned(algorithm, steps, folder=None, **more):
    return bm.align(SETTINGS[algorithm], small_model(), TASK, steps=steps, run_folder=folder, **KEPT_QUIET | more)


def test_examples_are_learned_and_shuffled_ones_are_not():
    rows = [{"prompt": f"{c}=", "completion": c * 2} for c in "abcde"] * 4
    wrong = [{"prompt": f"{c}=", "completion": "abcde"[i % 5] * 2} for i, c in enumerate("aabbccddee" * 2)]
    losses = {}
    for name, data in (("right", rows), ("wrong", wrong)):
        run = bm.align(
            SETTINGS["sft"], small_model(), data, tokeniser=TOKENISER, steps=150, run_folder=None, **KEPT_QUIET
        )
        losses[name] = run.metrics[-1]["loss"]
    assert run.generate("a=", bm.Sampling(max_tokens=4, temperature=0.0)) is not None
    assert losses["right"] < 0.1 < 0.25 < losses["wrong"], "of what is drawn by chance nothing can be known"


@pytest.mark.parametrize("algorithm", ["grpo", "ppo-lm"])
def test_rewards_are_raised_and_by_their_weight_are_lowered(algorithm):
    scores = {}
    for weight in (1.0, -1.0):
        learner = SETTINGS[algorithm].replace(kl_weight=0.0)
        run = bm.align(
            learner, made_model(), TASK, tokeniser=TOKENISER, reward={"e": (every_e, weight)}, steps=40, seed=1,
            run_folder=None, **KEPT_QUIET,
        )  # fmt: skip
        parts = [row["reward/e"] for row in run.metrics]
        scores[weight] = np.mean(parts[-5:])
        assert run.scores[0, -1] == pytest.approx(weight * parts[-1])
    assert scores[1.0] > 0.5 > 0.03 > scores[-1.0]


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_a_run_that_stopped_goes_on_bit_for_bit(algorithm, tmp_path):
    whole = aligned(algorithm, 6, tmp_path, name="whole", log_every=1)
    aligned(algorithm, 3, tmp_path, name="parts", log_every=1)
    again = bm.resume(tmp_path / "parts", steps=6, display="quiet")
    assert alike(whole, again)
    different = ("time", "steps_per_second")
    rows = [[{k: v for k, v in row.items() if k not in different} for row in run.metrics] for run in (whole, again)]
    assert rows[0] == rows[1]
    assert whole.samples == again.samples
    loaded = bm.load(tmp_path / "parts")
    assert alike(whole, loaded)
    assert not alike(whole, aligned(algorithm, 6, None, seed=5)), "the control: another seed is another run"


def test_what_a_run_leaves_behind_is_a_model_and_can_be_read(tmp_path):
    run = aligned("grpo", 3, tmp_path, evaluate_every=3, evaluation_episodes=5)
    assert run.samples[0].keys() == {"seed", "step", "prompt", "answer", "reward"}
    assert run.evaluations[-1]["episodes"] == 5
    assert {"kl", "entropy", "same_rewards", "reward/task", "ended"} <= set(run.metrics[-1])
    folder = run.save(tmp_path / "model")
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    prompts = ["abcdefgh=", "hgfedcba="]
    again = bm.align(
        SETTINGS["sft"].replace(learning_rate=0.0), str(folder), TASK, steps=1, run_folder=None, **KEPT_QUIET
    )
    assert again.plan.materials.model.config == SHAPE
    for one, two in zip(leaves(again.model), leaves(run.model), strict=True):
        np.testing.assert_array_equal(one, two)
    sampling = bm.Sampling(max_tokens=5)
    answers = run.generate(prompts, sampling)
    assert again.generate(prompts, sampling) == answers
    assert run.generate(prompts[0], sampling) == answers[0]
    assert run.generate(prompts, sampling, seed=1) != answers


def test_a_reward_model_is_a_reward_and_a_critic(tmp_path):
    judge = aligned("reward", 5, tmp_path, name="judge")
    run = bm.align(
        SETTINGS["ppo-lm"], small_model(), TASK, reward={"judge": judge}, critic=judge, steps=2, run_folder=tmp_path,
        name="ppo", **KEPT_QUIET,
    )  # fmt: skip
    assert len({sample["reward"] for sample in run.samples}) > 1, "a reward model has an opinion on each"
    by_folder = bm.align(
        SETTINGS["ppo-lm"], small_model(), TASK, reward=str(tmp_path / "judge"), critic=str(tmp_path / "judge"),
        steps=2, run_folder=tmp_path, name="by-folder", **KEPT_QUIET,
    )  # fmt: skip
    assert alike(run, by_folder)
    for name in ("ppo", "by-folder"):  # both say where the reward model is
        again = bm.resume(tmp_path / name, steps=3, display="quiet")
        assert int(again.tree.step[0]) == 3
    assert "reward/judge" in again.metrics[0] or "reward/judge" in again.metrics[-1]


def test_a_task_with_sizes_of_its_own_is_found_again(tmp_path):
    task = Copy(length=2)
    run = bm.align(SETTINGS["grpo"], small_model(), task, steps=2, run_folder=tmp_path, name="sized", **KEPT_QUIET)
    again = bm.resume(tmp_path / "sized", steps=3, display="quiet")
    assert again.plan.materials.task == task != Copy()
    assert [dict(row) for row in again.plan.materials.rows] == [dict(row) for row in run.plan.materials.rows]
    assert len(run.plan.materials.rows[0]["prompt"]) == 3


def test_a_run_that_goes_on_another_day_reads_what_it_read(tmp_path):
    """Some templates write the date: it is that of the run's first day, and today's only for what is asked today."""
    dated = dataclasses.replace(TOKENISER, template="{{ strftime_now('%Y-%m-%d') }}")
    rows = [{"prompt": "a=", "completion": "b"}] * 8
    bm.align(
        SETTINGS["sft"], small_model(), rows, tokeniser=dated, steps=1, run_folder=tmp_path, name="d", **KEPT_QUIET
    )
    folder, today = RunFolder.open(tmp_path / "d"), f"{datetime.date.today()}"
    assert front.again(folder).materials.tokeniser.chat.render([]) == folder.config["model"]["now"][:10] == today
    config = folder.config
    config["model"]["now"] = "2020-02-29T12:00:00"
    folder.write_config(config)
    again = bm.load(tmp_path / "d")
    assert again.plan.materials.tokeniser.chat.render([]) == "2020-02-29"
    assert again.tokeniser.chat.render([]) == today


def test_a_function_cannot_be_found_again_and_is_asked_for(tmp_path):
    data = [{"prompt": "a="}, {"prompt": "b="}]
    options = {"tokeniser": TOKENISER, "run_folder": tmp_path, "name": "paid"} | KEPT_QUIET
    whole = bm.align(SETTINGS["grpo"], small_model(), data, reward=every_e, steps=3, **options | {"run_folder": None})
    bm.align(SETTINGS["grpo"], small_model(), data, reward=every_e, steps=2, **options)
    with pytest.raises(ValueError, match="made in a program; pass them, as in resume"):
        bm.resume(tmp_path / "paid", steps=3, display="quiet")
    assert alike(whole, bm.resume(tmp_path / "paid", steps=3, reward=every_e, display="quiet"))


def test_adapters_alone_are_trained(tmp_path):
    run = aligned("sft", 4, None, adapters=2)
    state = run.state.model
    base, low = state.layers[0].attention.query.base.weight, state.layers[0].attention.query.high
    assert np.abs(np.asarray(low)).max() > 0
    assert isinstance(run.model, Transformer)
    merged = base + state.layers[0].attention.query.scale * state.layers[0].attention.query.low @ low
    np.testing.assert_allclose(run.model.layers[0].attention.query.weight, merged, atol=1e-6)
    made = made_model()
    assert len(leaves(run.model)) == len(leaves(made))
    np.testing.assert_array_equal(base, state.layers[0].attention.query.base.weight)


def test_the_command_line_evaluates_and_plots_a_run_and_says_what_it_cannot(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    aligned("grpo", 2, tmp_path / "runs", name="written")
    aligned("reward", 2, tmp_path / "runs", name="judge")
    assert main(["evaluate", "runs/written", "--episodes", "4"]) == 0
    assert "grpo on copy, 4 greedy episodes" in capsys.readouterr().out
    assert main(["generate", "runs/written", "abc=", "--max-tokens", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompt"] == "abc="
    assert main(["plot", "runs/written", "--output", "curve.png"]) == 0
    for command in (["watch", "runs/written"], ["export", "runs/written", "--output", "x"], ["evaluate", "runs/judge"]):
        assert main(command) == 1
        assert "error:" in capsys.readouterr().err


def test_evaluations_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(ValueError, match="evaluate_every = 2: a reward model writes nothing"):
        aligned("reward", 2, tmp_path, evaluate_every=2)
    rows = [{"prompt": "a=", "completion": "a"}] * 4
    with pytest.raises(ValueError, match="evaluate_every = 2: these data have no reward"):
        bm.align(SETTINGS["sft"], small_model(), rows, tokeniser=TOKENISER, evaluate_every=2, run_folder=tmp_path)


WRONG = {
    "an unknown task": ({"data": "revers"}, ValueError, "revers.*did you mean 'reverse'"),
    "no reward": ({"data": [{"prompt": "a"}], "tokeniser": TOKENISER}, ValueError, "reward = None.*give a function"),
    "an unknown reward": ({"reward": "lenght"}, ValueError, "lenght.*length"),
    "rows of another kind": ({"data": [{"text": 3}], "tokeniser": TOKENISER}, ValueError, "row 1.*prompt"),
    "a model without a tokeniser": ({"model": made_model}, ValueError, "give its tokeniser"),
    "a folder that is none": ({"model": "nowhere"}, FileNotFoundError, "nowhere"),
    "steps": ({"steps": -1}, ValueError, "steps = -1"),
    "no steps": ({"steps": 0}, ValueError, "steps = 0"),
    "a wrong hyperparameter": ({"hyperparameters": {"clipp": 0.1}}, TypeError, "did you mean 'clip'"),
    "a restricted sampler": (
        {"hyperparameters": {"experience": {"sampling": {"top_k": 3}}}}, ValueError, "top_k.*leave them out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_before_any_work(name, tmp_path):
    changes, kind, said = WRONG[name]
    options = {"model": SHAPE, "data": TASK, "steps": 1, "run_folder": tmp_path} | KEPT_QUIET | changes
    model = options.pop("model")
    with pytest.raises(kind, match=said):
        bm.align(SETTINGS["grpo"], model() if callable(model) else model, options.pop("data"), **options)


def test_the_doctor_speaks_once_while_the_run_goes_on(capsys):
    said = {}
    for name, reward in (("the same", lambda prompt, completion, row: 0.5), ("e", every_e)):
        options = {"steps": 24, "log_every": 1, "run_folder": None, "display": "lines", "track": ()}
        run = bm.align(SETTINGS["grpo"], small_model(), TASK, reward={"r": reward}, **options)
        said[name] = capsys.readouterr().out.splitlines()
    lines = [number for number, line in enumerate(said["the same"]) if "groups without differences" in line]
    assert len(lines) == 1
    assert lines[0] < len(said["the same"]) - 3, "long before the end"
    assert not [line for line in said["e"] if "groups without differences" in line], "the control: these rewards differ"
    assert "compiled in" not in "".join(said["e"]), "nothing was compiled by itself"
    assert run.timing["run"] > 0
