"""An algorithm's verbs, traced once for all the programs that they are a part of: tracing is half of a small start."""

from __future__ import annotations

import functools
from typing import Any

import jax
from jax import Array

from bellmax.core import Algorithm, Decision, Transition


@functools.partial(jax.jit, inline=True)
def act(algorithm: Algorithm, state: Any, obs: Any, key: Array, memory: Any) -> Decision:
    """What one environment's observation is answered with."""
    return algorithm.act(state, obs, key, memory)


@functools.partial(jax.jit, inline=True)
def update(algorithm: Algorithm, state: Any, batch: Transition, key: Array) -> tuple[Any, dict[str, Array]]:
    """One update."""
    return algorithm.update(state, batch, key)
