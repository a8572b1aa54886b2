"""Run a module of the tests in a process that has several devices: JAX cannot have more once it has begun."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def printed(module, devices, *words):
    """What `python -m MODULE WORDS` prints with so many virtual devices, compiled as quickly as all tests are."""
    several = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}".strip()
    flags = {"XLA_FLAGS": several, "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    command = [sys.executable, "-m", module, *map(str, words)]
    answer = subprocess.run(command, cwd=ROOT, env=os.environ | flags, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout.splitlines()
