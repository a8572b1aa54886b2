import os
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def python():
    """Start a script in a Python of its own -> Popen; its words after `-c` are `words`, its output is piped."""
    started = []

    def start(script: str, *words) -> subprocess.Popen:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), *map(str, words)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run_python(python):
    """Run such a script to its end -> its output. It must succeed."""

    def run(script: str, *words) -> str:
        process = python(script, *words)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return output

    return run
