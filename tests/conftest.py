"""Tests are small programs, compiled once and run for a moment: compile them quickly rather than well."""

import os

import jax
import pytest


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
    """A file's programs are not kept for the rest of the session: they would fill the memory."""
    yield
    jax.clear_caches()
