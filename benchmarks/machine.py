"""What the figures were measured on, and whether the machine had anything else to do."""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


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


def busy(seconds: float = 0.5) -> float:
    """The part of all cores' time, 0 to 1, that somebody uses now while we only wait."""
    before = cpu_times()
    if before is None:
        return min(1.0, os.getloadavg()[0] / cores())
    time.sleep(seconds)
    after = cpu_times()
    assert after is not None
    total, idle = after[0] - before[0], after[1] - before[1]
    return round(1 - idle / total, 3) if total else 0.0


def cpu_times() -> tuple[int, int] | None:
    """Clock ticks since the start, of all cores -> all, idle. None where the system does not count them so."""
    counters = Path("/proc/stat")
    if not counters.exists():
        return None
    ticks = [int(x) for x in counters.read_text(encoding="utf-8").splitlines()[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]  # idle, and waiting for a disk


def wait_until_quiet(limit: float = 0.1, patience: float = 60.0) -> float:
    """Wait until others use less than `limit` of the cores, at most `patience` seconds -> what they use."""
    until = time.monotonic() + patience
    load = busy()
    while load > limit and time.monotonic() < until:
        time.sleep(1.0)
        load = busy()
    return load
