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
from bellmax.experience.ring import size_in_bytes
from bellmax.plan import Plan

WORTH_SAYING = 100e6  # bytes


def stored_bytes(plan: Plan, spec: Spec) -> int:
    """The bytes of the buffers of all seeds that one process trains."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    run = jax.eval_shape(lambda key: fused.start(plan.algorithm, spec, key), key)
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(run.buffer)) * len(plan.seeds)


def device_bytes() -> int:
    """The memory of the device that learns."""
    limits = jax.devices()[0].memory_stats() or {}
    return limits.get("bytes_limit") or host_bytes()


def host_bytes() -> int:
    """The memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def find_room(plan: Plan, spec: Spec, say: Callable[[str], Any]) -> Any:
    """Where the stored experience goes: None, the device, or the jax.Device of the host's memory.

    Says what it takes, if it is much. With the host where the device has no room for it and the environments are on the
    host anyway; ValueError if there is no room at all.
    """
    needed, there = stored_bytes(plan, spec), device_bytes()
    if needed <= there:
        if needed >= WORTH_SAYING:
            say(f"stored experience takes {_size(needed)} of this machine's {_size(there)}")
        return None
    if not plan.ingraph and there < host_bytes() >= needed:
        say(
            f"stored experience takes {_size(needed)}, more than the device's {_size(there)}: it stays in the "
            f"machine's memory of {_size(host_bytes())}, and every batch is carried over"
        )
        return jax.devices("cpu")[-1]
    remedy = "give a smaller capacity or fewer seeds"
    if plan.ingraph and there < host_bytes() >= needed:
        remedy += ", or a Gymnasium environment, with which it may stay in the machine's memory"
    raise ValueError(
        f"experience.capacity = {getattr(eats(plan.algorithm), 'capacity', 0):,}: it takes {_size(needed)} for "
        f"{len(plan.seeds)} seed(s) and this machine has {_size(there)}; {remedy}."
    )


def find_room_for(log: Any, say: Callable[[str], Any]) -> None:
    """Says what logged steps will take on the device, if it is much; ValueError if there is no room for them."""
    needed, there = size_in_bytes(log), device_bytes()
    if needed > there:
        raise ValueError(f"data: they take {_size(needed)} and the device has {_size(there)}; give fewer steps.")
    if needed >= WORTH_SAYING:
        say(f"logged steps take {_size(needed)} of the device's {_size(there)}")


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
