"""The persistent compilation cache: what was compiled once on this machine is not compiled again.

On by default, in the user's cache directory. BELLMAX_CACHE=off turns it off, BELLMAX_CACHE=/some/folder moves it.
"""

from __future__ import annotations

import os
from pathlib import Path

import jax


def use_cache() -> Path | None:
    """Turn the cache on, unless the user said otherwise or has set up JAX's own -> its folder."""
    wanted = os.environ.get("BELLMAX_CACHE", "")
    if wanted.lower() in ("off", "0", "no", "false"):
        return None
    current = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if current is not None:
        return Path(current)
    folder = Path(wanted) if wanted else _user_cache() / "bellmax" / "xla"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None  # a cache that cannot be had is done without
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return folder


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
