"""The run folder: names, status, locks, and finding one's way back."""

import json
import math
import os
import re
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.runs import RunFolder, RunFolderError, list_runs, load


def test_names_are_readable_and_unique(tmp_path):
    run = RunFolder.create(tmp_path, "ppo-ALE/Pong-v5")
    assert re.fullmatch(r"ppo-ALE-Pong-v5-\d{4}-\d\d-\d\d-\d{6}", run.path.name)
    names = [RunFolder.create(tmp_path, "gymnax:CartPole-v1", stamp=False).path.name for _ in range(3)]
    assert names == ["gymnax-CartPole-v1", "gymnax-CartPole-v1-2", "gymnax-CartPole-v1-3"]
    for name in ("../../out", "..", "", "/etc", ".hidden", "a" * 400):
        assert RunFolder.create(tmp_path, name).path.parent == tmp_path
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_two_processes_never_get_the_same_folder(run_python, tmp_path):
    script = """
        import os, sys
        from bellmax.runs import RunFolder
        children = []
        for _ in range(4):
            children.append(os.fork())
            if children[-1] == 0:
                names = [RunFolder.create(sys.argv[1], "run", stamp=False).path.name for _ in range(15)]
                os.write(1, (" ".join(names) + " ").encode())
                os._exit(0)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    """
    names = run_python(script, tmp_path).split()
    assert len(names) == len(set(names)) == 60
    assert len(list_runs(tmp_path)) == 60


def test_config_comes_back(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    run.write_config({"gamma": np.float64(0.1), "sizes": (64, 64), "clip": math.inf, "where": tmp_path, "none": None})
    assert RunFolder.open(run.path).config == {
        "gamma": 0.1,
        "sizes": [64, 64],
        "clip": math.inf,
        "where": str(tmp_path),
        "none": None,
    }
    with pytest.raises(TypeError, match=r"config\['f'\] is a function"):
        run.write_config({"f": lambda: 0})
    (run.path / "config.json").write_text('{"gamma": 0.')
    with pytest.raises(RunFolderError, match=r"config\.json is damaged .*restore it"):
        _ = run.config
    (run.path / "config.json").write_text("[1]")
    with pytest.raises(RunFolderError, match="holds no JSON object"):
        _ = run.config
    (run.path / "config.json").unlink()
    with pytest.raises(RunFolderError, match="there is no such file"):
        _ = run.config


def test_open_suggests_the_nearest_runs(tmp_path):
    runs = [RunFolder.create(tmp_path, name, stamp=False) for name in ("ppo-CartPole", "a2c-Pendulum")]
    assert RunFolder.open(str(runs[0].path)) == runs[0]
    with pytest.raises(RunFolderError, match=f"ppo-CartPol does not exist: did you mean {runs[0].path}"):
        RunFolder.open(tmp_path / "ppo-CartPol")
    with pytest.raises(RunFolderError, match=f"is no run but holds 2: did you mean {runs[1].path}"):
        RunFolder.open(tmp_path)
    (tmp_path / "notes").mkdir()
    with pytest.raises(RunFolderError, match=r"notes is no run folder \(it has no config.json\): did you mean"):
        RunFolder.open(tmp_path / "notes")
    with pytest.raises(RunFolderError, match="does not exist: give a run's folder"):
        RunFolder.open(tmp_path / "notes" / "run")


def test_runs_made_at_once_are_listed_in_the_order_they_were_made(tmp_path):
    names = [f"run-{(7 * i) % 20:02}" for i in range(20)]  # not the order of the names
    for name in names:
        RunFolder.create(tmp_path, name, stamp=False)
    assert [run.path.name for run in list_runs(tmp_path)] == names


def test_runs_are_listed_the_oldest_first(tmp_path):
    assert list_runs(tmp_path / "none") == []
    (tmp_path / "other").mkdir()
    (tmp_path / "file").write_text("")
    runs = [RunFolder.create(tmp_path, name, stamp=False) for name in "zab"]
    created = iter(["2026-01-01T00:00:00", "2026-01-02T00:00:00", "2026-01-03T00:00:00"])
    for run in runs:
        (run.path / "status.json").write_text(json.dumps({"status": "running", "created": next(created)}))
    runs[0].status = "finished"  # which does not make it younger
    runs[0].child(3)
    assert [run.path.name for run in list_runs(tmp_path)] == ["z", "a", "b"]
    (runs[1].path / "status.json").write_text("{")  # it is still a run, of which nobody knows the time
    assert [run.path.name for run in list_runs(tmp_path)] == ["a", "z", "b"]


def test_status(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    assert run.status == "running"
    for status in ("finished", "interrupted", "failed", "running"):
        run.status = status
        assert RunFolder.open(run.path).status == status
    with pytest.raises(ValueError, match="status = 'done'"):
        run.status = "done"
    (run.path / "status.json").write_text('{"status": "lost"}')
    with pytest.raises(RunFolderError, match="says 'lost'"):
        _ = run.status


# The lock

HOLD = """
    import os, sys, time
    from bellmax.runs import RunFolder
    run = RunFolder.open(sys.argv[1])
    with run.lock():
        child = os.fork() if sys.argv[2] == "with child" else 0
        if sys.argv[2] == "with child" and child == 0:
            time.sleep(60)
        print(child, flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("company", ["alone", "with child"])
def test_a_run_is_trained_by_one_process_and_free_once_that_is_killed(python, tmp_path, company):
    run = RunFolder.create(tmp_path, "run")
    holder = python(HOLD, run.path, company)
    child = int(holder.stdout.readline())
    assert run.status == "running"
    message = rf"{run.path} is being trained by process {holder.pid}: wait for it, stop it, or choose another"
    with pytest.raises(RunFolderError, match=message), run.lock():
        pytest.fail("two hold it")
    holder.kill()
    holder.wait()
    try:
        assert run.status == "interrupted"  # although it could say nothing any more
        with run.lock():  # even while a child that it forked lives on
            assert run.status == "running"
            if child:
                os.kill(child, 0)
    finally:
        if child:
            os.kill(child, signal.SIGKILL)


def test_the_lock_is_let_go_and_errors_inside_pass_through(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    with pytest.raises(OSError, match="mine"), run.lock():
        raise OSError("mine")
    with run.lock():
        run.status = "finished"
    assert run.status == "finished"


# What broke a run


def test_a_failure_is_kept_with_its_batch(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    batch = {"obs": jnp.array([1.0, jnp.nan]), "key": jax.random.key(1)}
    folder = run.write_failure(
        batch, {"step": 512, "quantity": "loss", "value": math.nan, "rewards": np.array([1.0, -np.inf])}
    )
    assert folder == run.path / "failure"
    report = json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    assert report == {"step": 512, "quantity": "loss", "value": "nan", "rewards": [1.0, "-inf"]}
    found, meta = load(folder / "batch.safetensors", jax.eval_shape(lambda: batch))
    assert np.isnan(np.asarray(found["obs"])).tolist() == [False, True]
    assert meta == report
