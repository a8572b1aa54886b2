"""Solve a model with the method that suits its size and discount."""

from __future__ import annotations

import os

from bellmax.mdp.leaps import leaping_value_iteration
from bellmax.mdp.model import MDP, in_words
from bellmax.mdp.policy_iteration import policy_iteration
from bellmax.mdp.solution import Solution

SMALL = 2_000  # states, up to which linear systems are solved at once
PROGRAM = 1 << 29  # bytes of JAX and of what it compiled, at most
VECTORS = 24  # arrays [states] that a solver holds at its worst, in 8 bytes each


def solve(mdp: MDP, *, tolerance: float | None = None) -> Solution:
    """The optimal values, Q and policy of `mdp`, to a proven distance of at most `tolerance`.

    Policy iteration for small models, value iteration with leaps for others. `tolerance` None is 1e-8 in float64, and
    in float32 as near as its rounding allows. Raises MemoryError, before it starts, where the machine has too little;
    the errors of `value_iteration` otherwise.
    """
    needed, there = memory_needed(mdp), _memory()
    if needed > there:
        raise MemoryError(
            f"solving {mdp.states:,} states takes about {in_words(needed)} and the machine has {in_words(there)}: give "
            "a smaller model, or one in float32."
        )
    if mdp.states <= SMALL:
        return policy_iteration(mdp, tolerance=tolerance)
    return leaping_value_iteration(mdp, tolerance=tolerance)


def memory_needed(mdp: MDP) -> int:
    """Bytes that `solve` needs at its worst, the model's own included.

    The program; the model and its copies on the device; rewards and Q in float64; the greedy policy's rows; and VECTORS
    of values.
    """
    real = mdp.probability.dtype.itemsize
    device = 3 * mdp.probability.nbytes + mdp.successor.nbytes + mdp.states * mdp.actions * (8 * 4 + 2 * real)
    policy = mdp.states * (mdp.outcomes + 4) * (real + 4)
    return PROGRAM + mdp.nbytes + device + policy + 8 * VECTORS * mdp.states


def _memory() -> int:
    """Bytes of the machine's memory, as far as the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 62
