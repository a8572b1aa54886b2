"""Run a module of the tests in a process that has several devices: JAX cannot have more once it has begun."""

import os
import subprocess
import sys
from pathlib import Path

import jax

ROOT = Path(__file__).parents[1]


def printed(module, devices, *words, bits=False):
    """What `python -m MODULE WORDS` prints with so many virtual devices, compiled as quickly as all tests are.

    With `bits`, where two programs are to be alike to the last bit, only as quickly as leaves their sums alone.
    """
    flags = "" if bits else os.environ.get("XLA_FLAGS", "")
    several = f"{flags} --xla_force_host_platform_device_count={devices}".strip()
    flags = {"XLA_FLAGS": several, "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    if jax.config.jax_compilation_cache_dir:  # many of these programs are compiled more than once
        flags |= {"JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir}
        flags |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = [sys.executable, "-m", module, *map(str, words)]
    answer = subprocess.run(command, cwd=ROOT, env=os.environ | flags, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout.splitlines()
