"""kill -9 while a language model is trained: the end is bit for bit that of a run left alone."""

import json
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

KILLS = int(os.environ.get("BELLMAX_KILLS", "2"))
PROGRAM = Path(__file__).with_name("align_or_go_on.py")
ROOT = Path(__file__).parents[2]


def start(folder, algorithm, cache):
    environment = os.environ | {"BELLMAX_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(PROGRAM), str(folder), algorithm]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def kill_after_the_next_checkpoint(process, folder, chance):
    """Wait until something new was saved, a random moment longer, and kill."""
    checkpoints = folder / "run" / "checkpoints"
    before = set(checkpoints.glob("step-*")) if checkpoints.exists() else set()
    while process.poll() is None and len(set(checkpoints.glob("step-*")) - before) < 2:
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 0.1))
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("algorithm", ["sft", "grpo"])
def test_a_run_that_is_killed_goes_on_bit_for_bit(algorithm, tmp_path):
    chance, cache = random.Random(0), tmp_path / "cache"
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    finish(start(alone, algorithm, cache))
    stopped = 0
    for _ in range(KILLS):
        process = start(killed, algorithm, cache)
        kill_after_the_next_checkpoint(process, killed, chance)
        stopped += process.returncode == -signal.SIGKILL
    finish(start(killed, algorithm, cache))
    assert stopped, "nothing was killed: the run is too short"
    one, two = (RunFolder.open(folder / "run") for folder in (alone, killed))
    assert two.status == "finished"
    expected, got = (load_file(run.checkpoints.latest()) for run in (one, two))
    assert expected.keys() == got.keys()
    assert all(np.array_equal(expected[name], got[name], equal_nan=True) for name in expected)
    assert json.dumps(one.samples()) == json.dumps(two.samples()), "what was written on the way, too"
    steps = [row["step"] for row in two.metrics()]
    assert steps == sorted(set(steps))
