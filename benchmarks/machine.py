"""What the figures were measured on, and whether the machine had anything else to do."""

from __future__ import annotations

import os
import platform
import resource
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple


def describe() -> dict[str, Any]:
    """Processor, cores, memory in GiB, system, Python and the date."""
    return {
        "cpu": cpu_model(),
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def cores() -> int:
    """The cores this process may run on, which in a container can be fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name, with its widest vector unit where Linux tells it."""
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.processor() or platform.machine()
    text = information.read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    known = {name.strip(): value.strip() for name, value in fields.items()}
    flags = known.get("flags", "").split()
    vectors = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")
    return " ".join(filter(None, [known.get("model name", platform.machine()), vectors]))


class Ticks(NamedTuple):
    """Clock ticks of all cores since the machine started, and those of the processes we started and that ended."""

    total: float
    idle: float
    ours: float


def ticks() -> Ticks | None:
    """None where the system does not count them as Linux does."""
    counters = Path("/proc/stat")
    if not counters.exists():
        return None
    counts = [int(x) for x in counters.read_text(encoding="utf-8").splitlines()[0].split()[1:9]]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours = (used.ru_utime + used.ru_stime) * os.sysconf("SC_CLK_TCK")
    return Ticks(sum(counts), counts[3] + counts[4], ours)  # idle: doing nothing, or waiting for a disk


def others(before: Ticks | None, after: Ticks | None) -> float:
    """The part of all cores' time, 0 to 1, that somebody else used in between; 0 where nobody counts."""
    if before is None or after is None or after.total == before.total:
        return 0.0
    total, idle, ours = (late - early for early, late in zip(before, after))
    return round(max(0.0, 1 - (idle + ours) / total), 3)


def wait_until_quiet(patience: float, limit: float = 0.1) -> None:
    """Wait until others use at most `limit` of the cores, for `patience` seconds and no longer."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        before = ticks()
        time.sleep(0.5)
        if others(before, ticks()) <= limit:
            return
