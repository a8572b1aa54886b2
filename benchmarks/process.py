"""Measure in fresh processes, one at a time: one JSON argument in, one JSON line out."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import others, ticks, wait_until_quiet

ROOT = Path(__file__).resolve().parent.parent
SHELL_LEAKS = ("XLA_FLAGS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "JAX_COMPILATION_CACHE_DIR", "PYTHONSTARTUP")

DISTURBED = 0.1  # a measurement is made again when others used more of the cores meanwhile

Answer = dict[str, Any]


class Patience(NamedTuple):
    """How long a measurement waits for others to leave the cores alone, and how often it is made."""

    seconds: float = 60.0
    attempts: int = 3


patience = Patience()


def measure(command: Sequence[str], job: Answer, variables: Mapping[str, str] | None = None, *, limit: float) -> Answer:
    """Run `command` with `job` as its last argument -> its last line, read as JSON, with "wall" and "others"."""
    done = run([*command, json.dumps(job)], variables, limit=limit)
    lines = [line for line in done.output.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{shown(command)} ended well but printed no JSON line; it printed: {done.output[-500:]!r}")
    return json.loads(lines[-1]) | {"wall": done.seconds, "others": done.others, "variables": dict(variables or {})}


def wall(command: Sequence[str], variables: Mapping[str, str] | None = None, *, limit: float = 120) -> Answer:
    """How long `command` takes from start to exit -> {"seconds", "others"}."""
    done = run(command, variables, limit=limit)
    return {"seconds": done.seconds, "others": done.others}


class Done(NamedTuple):
    output: str
    seconds: float
    others: float  # the part of the cores' time that others used meanwhile


def run(command: Sequence[str], variables: Mapping[str, str] | None, *, limit: float) -> Done:
    """Run in the repository's root once the machine is quiet; again, a few times at most, when others disturbed it."""
    for attempt in range(1, patience.attempts + 1):
        wait_until_quiet(patience=patience.seconds)
        before = ticks()
        done = run_once(command, variables, limit)
        done = done._replace(others=others(before, ticks()))
        if done.others <= DISTURBED or attempt == patience.attempts:
            return done
        say(f"    others used {done.others:.0%} of the cores meanwhile: measuring again")
    raise ValueError(f"patience.attempts = {patience.attempts}: give at least 1")


def run_once(command: Sequence[str], variables: Mapping[str, str] | None, limit: float) -> Done:
    """Run with the shell's own thread settings taken away and `variables` set."""
    env = {name: value for name, value in os.environ.items() if name not in SHELL_LEAKS} | dict(variables or {})
    start = time.perf_counter()
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{shown(command)} took longer than its limit of {limit:.0f} s, and was stopped") from None
    if done.returncode:
        raise RuntimeError(f"{shown(command)} failed with status {done.returncode}:\n{done.stderr[-3000:]}")
    return Done(done.stdout, time.perf_counter() - start, 0.0)


def shown(command: Sequence[str]) -> str:
    """A command as a person would write it, without the machine's own paths."""
    return " ".join([Path(command[0]).name, *(word.removeprefix(f"{ROOT}/") for word in command[1:])])


def interleave(contestants: Mapping[str, Callable[[int], Answer]], repeats: int) -> dict[str, list[Answer]]:
    """Every contestant once, then every contestant again: what drifts on the machine hits all of them alike.

    A contestant is called with the number of the repeat, which is its seed.
    """
    answers: dict[str, list[Answer]] = {name: [] for name in contestants}
    for repeat in range(repeats):
        for name, contestant in contestants.items():
            say(f"  {name}, {repeat + 1} of {repeats}")
            answers[name].append(contestant(repeat))
    return answers


def say(line: str) -> None:
    """Tell the person who waits; results go to standard output, this does not."""
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two benchmarks at once would measure each other: the second waits."""
    with open(Path(tempfile.gettempdir()) / "bellmax-benchmarks.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another benchmark runs on this machine: waiting for it to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
