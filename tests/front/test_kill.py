"""kill -9 at random moments: every resume works, and in the graph the end is bit for bit that of a run left alone.

BELLMAX_KILLS says how often each run is killed; the default keeps the test short.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from bellmax.runs import RunFolder

KILLS = int(os.environ.get("BELLMAX_KILLS", "3"))
PROGRAM = Path(__file__).with_name("train_or_go_on.py")
STEPS = {"bellmax:CartPole": 600_000, "CartPole-v1": 20_000}


def start(folder, env):
    environment = os.environ | {"BELLMAX_CACHE": str(folder.parent / "cache")}
    command = [sys.executable, str(PROGRAM), str(folder), env, str(STEPS[env])]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def kill_after_the_next_checkpoint(process, folder, chance):
    """Wait until something new was saved, a random moment longer, and kill."""
    checkpoints = folder / "run" / "checkpoints"
    before = set(checkpoints.glob("step-*")) if checkpoints.exists() else set()
    while process.poll() is None and not (checkpoints.exists() and set(checkpoints.glob("step-*")) - before):
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 0.1))
    process.send_signal(signal.SIGKILL)
    process.communicate()


def last_tree(folder):
    """Every array of the last checkpoint, by name."""
    return load_file(RunFolder.open(folder / "run").checkpoints.latest())


@pytest.mark.parametrize("env", STEPS)
def test_a_run_that_is_killed_goes_on(env, tmp_path):
    chance = random.Random(0)
    folder = tmp_path / "killed"
    killed = 0
    while killed < KILLS:
        process = start(folder, env)
        kill_after_the_next_checkpoint(process, folder, chance)
        killed += 1
        assert RunFolder.open(folder / "run").status in ("interrupted", "finished")
    finish(start(folder, env))
    run = RunFolder.open(folder / "run")
    assert run.status == "finished"
    rows = run.metrics()
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps)), "no row is missing its place or stands twice"
    assert steps[-1] >= STEPS[env]
    if env == "bellmax:CartPole":
        alone = tmp_path / "alone"
        finish(start(alone, env))
        expected, got = last_tree(alone), last_tree(folder)
        assert expected.keys() == got.keys()
        assert all(np.array_equal(expected[name], got[name], equal_nan=True) for name in expected)
        scores = [row["score"] for row in RunFolder.open(alone / "run").metrics()]
        assert [row["score"] for row in rows] == pytest.approx(scores, rel=1e-5), "and so is the learning curve"
