"""What the front door asks of XLA."""

import os
import subprocess
import sys

from bellmax.compilation import SMALL_LOOP, fuse_small_loops


def test_small_loops_are_asked_for_once_and_other_flags_stay(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    for _ in range(2):
        fuse_small_loops()
        assert os.environ["XLA_FLAGS"] == f"--xla_cpu_multi_thread_eigen=false {SMALL_LOOP}"


def test_extra_options_of_the_users_own_stay_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_extra_options=mine=1")
    fuse_small_loops()
    assert os.environ["XLA_FLAGS"] == "--xla_backend_extra_options=mine=1"


def test_xla_knows_the_flag():
    """XLA ends the process for a flag it does not know."""
    program = (
        "from bellmax.compilation import fuse_small_loops\nfuse_small_loops()\n"
        "import jax\nprint(jax.lax.fori_loop(0, 10, lambda i, x: x + i, 0))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ran.stdout.strip() == "45", ran.stderr
