"""Everything that can be reported on is read into the same facts, and gets a name that tells it apart."""

import pytest
from made_up_runs import KIND, config, evaluations_of, folder, rows_of, run

from bellmax.report.sources import differences, name_all, read_all
from bellmax.runs import RunFolderError

SCORES = {0: [1.0, None], 7: [3.0, 4.0]}
MEANS = {0: [2.0], 7: [5.0]}


def test_folders_paths_runs_and_rows_say_the_same(tmp_path):
    made = folder(tmp_path, "ppo", SCORES, MEANS)
    sources = read_all([made, made.path, str(made.path), run(SCORES, MEANS), rows_of(SCORES) + evaluations_of(MEANS)])
    for source in sources:
        assert source.rows == rows_of(SCORES)
        assert source.evaluations == evaluations_of(MEANS)
    assert [source.name for source in sources] == ["ppo", "ppo", "ppo", "", ""]
    assert [source.algorithm for source in sources] == ["PPO"] * 4 + [""]
    assert [source.environment for source in sources] == ["CartPole-v1"] * 4 + [""]


def test_one_run_needs_no_list(tmp_path):
    made = folder(tmp_path, "ppo", SCORES)
    for one in (made, made.path, str(made.path), run(SCORES), rows_of(SCORES)):
        assert [source.rows for source in read_all(one)] == [rows_of(SCORES)]
    assert len(read_all([rows_of(SCORES), rows_of(MEANS)])) == 2


def test_seeds_in_folders_of_their_own_belong_to_the_run(tmp_path):
    made = folder(tmp_path, "ppo", {0: [1.0]})
    made.child(3).append({"step": 1000, "score": 9.0, "episodes": 1})
    assert [(row["seed"], row["score"]) for row in read_all(made)[0].rows] == [(0, 1.0), (3, 9.0)]


def test_greedy_and_exploring_evaluations_are_not_mixed():
    greedy, exploring = (
        {"seed": 0, "step": 1, "mean": mean, "greedy": how} for mean, how in ((5.0, True), (3.0, False))
    )
    assert read_all([exploring, greedy])[0].evaluations == [greedy]
    assert read_all([exploring])[0].evaluations == [exploring]


def test_what_is_no_run_is_refused(tmp_path):
    folder(tmp_path, "ppo", SCORES)
    with pytest.raises(RunFolderError, match=r"did you mean .*ppo\?"):
        read_all(str(tmp_path / "pppo"))
    with pytest.raises(TypeError, match="holds a int: give a run folder"):
        read_all([3])
    with pytest.raises(ValueError, match="runs is empty"):
        read_all([])


def names(*configs):
    return name_all(read_all([run(SCORES, config=c) for c in configs]))


def test_names_say_what_differs_and_no_more(tmp_path):
    a2c = config(kind="bellmax.algorithms.policy.a2c:A2C", learning_rate=7e-4)
    assert names(config()) == ["PPO"]
    assert names(config(), a2c) == ["PPO", "A2C"]  # learning rates differ too, but the names tell them apart
    assert names(config(), config("Acrobot-v1")) == ["PPO on CartPole-v1", "PPO on Acrobot-v1"]
    swept = [config(learning_rate=rate, experience={"kind": "x:Steps", "length": 64}) for rate in (1e-3, 2.5e-4)]
    assert names(*swept) == ["PPO learning_rate=0.001", "PPO learning_rate=0.00025"]
    assert names(config(), swept[1]) == ["PPO experience.length=128", "PPO experience.length=64"]
    assert names(config(), config(), a2c) == ["PPO (1)", "PPO (2)", "A2C"]
    made = [folder(tmp_path, name, SCORES) for name in ("first", "second")]
    assert name_all(read_all(made)) == ["PPO first", "PPO second"]
    assert name_all(read_all([rows_of(SCORES)])) == ["run"]


def test_wrappers_are_settings():
    wrapped = config()
    wrapped["algorithm"] = {"kind": "bellmax.algorithms.wrappers.normalised:Normalised", "clip": 10.0} | {
        "inner": wrapped["algorithm"]
    }
    sources = read_all([run(SCORES, config=wrapped), run(SCORES)])
    assert [source.algorithm for source in sources] == ["PPO", "PPO"]
    assert differences(sources) == ["wrappers=Normalised", "wrappers="]


def test_labels_are_one_each():
    sources = read_all([run(SCORES), run(SCORES)])
    assert name_all(sources, ["a", "b"]) == ["a", "b"]
    for labels in (["a"], "ab"):
        with pytest.raises(ValueError, match="one for each of the 2 runs"):
            name_all(sources, labels)


def test_a_class_is_named_without_its_module():
    assert read_all(run(SCORES, config=config(kind=KIND)))[0].algorithm == "PPO"
    assert read_all(run(SCORES, config=config(kind="mine:Outer.Inner")))[0].algorithm == "Inner"
