"""Tests are small programs, compiled once and run for a moment: compile them quickly rather than well."""

import gc
import os
import subprocess
import sys

import jax
import pytest

from tests.compiled import forget_if_many

FASTER = "--xla_cpu_use_fusion_emitters=false"  # halves the time that XLA takes to compile a small program for the CPU


def pytest_configure():
    """Before anything is computed, and before there are other processes, which take over what is set here."""
    gc.set_threshold(100_000, 20, 100)  # what is traced stays: looking it through for garbage took a third of tracing
    flags = os.environ.get("XLA_FLAGS", "")
    if FASTER in flags:
        return
    with_it = os.environ | {"XLA_FLAGS": f"{flags} {FASTER}".strip()}
    begin = [sys.executable, "-c", "import jax; jax.devices()"]  # JAX dies of flags that it does not know
    if subprocess.run(begin, env=with_it, capture_output=True, check=False).returncode == 0:
        os.environ.update(with_it)


@pytest.fixture(scope="session", autouse=True)
def compile_quickly(tmp_path_factory):
    """XLA's optimiser off, and what two tests compile alike, in either process, is compiled once."""
    jax.config.update("jax_disable_most_optimizations", True)
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    jax.config.update("jax_compilation_cache_dir", str(base / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(scope="module", autouse=True)
def forget_what_was_compiled():
    """Before the programs of all files together are more than a process may map."""
    yield
    forget_if_many()
