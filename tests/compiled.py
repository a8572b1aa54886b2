"""What was compiled is kept for the next test that needs it, until there is too much of it."""

from pathlib import Path

import jax

MOST = 15_000  # memory maps of the process; Linux allows 65,530, and each program has a few
MAPS = Path("/proc/self/maps")


def forget_if_many() -> None:
    """Forget all programs where their maps come near what a process may have; always, where that cannot be seen."""
    if not MAPS.exists() or MAPS.read_bytes().count(b"\n") > MOST:
        jax.clear_caches()
