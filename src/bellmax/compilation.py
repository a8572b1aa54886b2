"""How XLA compiles: what the front door asks of it before it compiles anything.

The persistent compilation cache: what was compiled once on this machine is not compiled again. On by default, in the
user's cache directory. BELLMAX_CACHE=off turns it off, BELLMAX_CACHE=/some/folder moves it.

Small loops: on the CPU, XLA runs a loop over few bytes as one compiled function instead of an operation at a time. Its
bound is 1 KiB, less than most tables; ours is 16 KiB, which makes Q-learning on FrozenLake seven times as fast and
leaves alone whatever holds a network of 64 units. `import bellmax` writes it to XLA_FLAGS, which counts as long as JAX
has computed nothing yet; flags of the user's own stay as they are.
"""

from __future__ import annotations

import os
from pathlib import Path

SMALL_LOOP = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=16384"


def fuse_small_loops() -> None:
    """Raise the bound on small loops, unless XLA_FLAGS has extra options already."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_backend_extra_options" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {SMALL_LOOP}".strip()


def use_cache() -> Path | None:
    """Turn the cache on, unless the user said otherwise or has set up JAX's own -> its folder."""
    wanted = os.environ.get("BELLMAX_CACHE", "")
    if wanted.lower() in ("off", "0", "no", "false"):
        return None
    import jax  # here: `import bellmax` reads this file, and takes no time

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
