"""Where a result comes from: versions, machine, git state, command and time."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import jax

_PACKAGES = ("bellmax", "jax", "jaxlib", "numpy", "gymnasium", "equinox", "optax")
_PATIENCE = 2.0  # seconds for each question to git


def provenance() -> dict[str, Any]:
    """What somebody needs to know to get the same result again, as plain JSON.

    versions (by package, None where one is missing), python, platform, cpus, devices (how many of
    each kind), commit and dirty (of the current directory's git repository; None outside one),
    command, time (UTC, ISO 8601). It asks JAX for its devices, which starts JAX.
    """
    return {
        "versions": {package: version(package, None) for package in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "devices": dict(Counter(device.device_kind for device in jax.devices())),
        "commit": _git("rev-parse", "HEAD") or None,
        "dirty": _dirty(),
        "command": shlex.join(sys.argv),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def version(package: str, missing: Any = "unknown") -> Any:
    """The installed version of a package, or `missing`."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return missing


def _dirty() -> bool | None:
    """Are there changes that no commit holds? None where git does not say."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return None if changes is None else changes != ""


def _git(*question: str) -> str | None:
    """git's answer, or None: no git, no repository, no commit or no time.

    It takes no lock that somebody's commit would stumble over, and runs no program that the
    repository's configuration names.
    """
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *question]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.decode(errors="replace").strip()
