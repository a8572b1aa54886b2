"""What a run's stored experience will take, known before any of it is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import jax

from bellmax.core import Spec
from bellmax.drivers import fused
from bellmax.drivers.learn import eats
from bellmax.plan import Plan

WORTH_SAYING = 100e6  # bytes


def stored_bytes(plan: Plan, spec: Spec) -> int:
    """The bytes of the buffers of all seeds that one process trains."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    run = jax.eval_shape(lambda key: fused.start(plan.algorithm, spec, key), key)
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(run.buffer)) * len(plan.seeds)


def machine_bytes() -> int:
    """The memory of the device that will hold them."""
    limits = jax.devices()[0].memory_stats() or {}
    return limits.get("bytes_limit") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def announce(plan: Plan, spec: Spec, say: Callable[[str], Any]) -> None:
    """Say what the stored experience takes, if it is much. ValueError if the machine has not as much."""
    needed, there = stored_bytes(plan, spec), machine_bytes()
    if needed > there:
        raise ValueError(
            f"experience.capacity = {getattr(eats(plan.algorithm), 'capacity', 0):,}: it takes {_size(needed)} for "
            f"{len(plan.seeds)} seed(s) and this machine has {_size(there)}; give a smaller capacity or fewer seeds."
        )
    if needed >= WORTH_SAYING:
        say(f"stored experience takes {_size(needed)} of this machine's {_size(there)}")


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
