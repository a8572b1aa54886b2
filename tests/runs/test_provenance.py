"""Where a result comes from."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import jax
import numpy as np
import pytest

from bellmax.runs import provenance


@pytest.fixture
def module():
    return sys.modules["bellmax.runs.provenance"]


def git(*words):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_versions_and_machine(monkeypatch, module):
    monkeypatch.setattr(sys, "argv", ["bellmax", "train", "a b"])
    monkeypatch.setattr(module, "_PACKAGES", ("numpy", "jax", "no-such-package"))
    found = provenance()
    assert found["versions"] == {"numpy": np.__version__, "jax": jax.__version__, "no-such-package": None}
    assert found["devices"] == {jax.devices()[0].device_kind: len(jax.devices())}
    assert found["command"] == "bellmax train 'a b'"
    assert found["cpus"] == os.cpu_count()
    assert abs((datetime.now(UTC) - datetime.fromisoformat(found["time"])).total_seconds()) < 60
    assert json.loads(json.dumps(found)) == found


def test_the_state_of_the_repository(tmp_path, monkeypatch, module):
    monkeypatch.setattr(module, "_PATIENCE", 30.0)  # this machine may be busy
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert (provenance()["commit"], provenance()["dirty"]) == (None, None)
    git("init")
    (tmp_path / "file").write_text("1")
    assert provenance()["commit"] is None  # a repository without a commit
    git("add", "file")
    git("commit", "-m", "first")
    assert (provenance()["commit"], provenance()["dirty"]) == (git("rev-parse", "HEAD"), False)
    (tmp_path / "runs").mkdir()  # what a run leaves behind makes nothing dirty
    (tmp_path / "runs" / "row").write_text("1")
    assert provenance()["dirty"] is False
    (tmp_path / "file").write_text("2")
    assert provenance()["dirty"] is True


def test_no_git_and_a_git_that_hangs(tmp_path, monkeypatch, module):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (provenance()["commit"], provenance()["dirty"]) == (None, None)
    (tmp_path / "git").write_text("#!/bin/sh\nexec /bin/sleep 30\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    begin = time.monotonic()
    assert (provenance()["commit"], provenance()["dirty"]) == (None, None)
    assert time.monotonic() - begin < 5
