"""Value iteration: sweep with the Bellman optimality operator until nothing moves (Sutton & Barto, section 4.4).

"synchronous"   every state from the values of the sweep before (Bellman, 1957)
"gauss-seidel"  in place: later states see the new values of earlier ones; states one by one, or in blocks if there are
                many
"prioritised"   always the state (the block, if there are many) that may change most (Moore & Atkeson, 1993,
                https://doi.org/10.1007/BF00993104)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.mdp import blocks
from bellmax.mdp.converge import converge
from bellmax.mdp.model import MDP
from bellmax.mdp.solution import Problem, Solution, problem
from bellmax.mdp.sweeps import Swept, iterate

Method = Literal["synchronous", "gauss-seidel", "prioritised"]


def value_iteration(
    mdp: MDP,
    *,
    method: Method = "synchronous",
    tolerance: float | None = None,
    max_sweeps: int = 1_000_000,
    values: np.ndarray | None = None,
) -> Solution:
    """Solve `mdp` to a proven distance of at most `tolerance` from the optimal values.

    `tolerance` None is 1e-8 in float64, and in float32 as near as its rounding allows. `values` [states] are where to
    begin (None: 0); with gamma = 1 and loops that cost nothing, begin at or below the optimum.

    Raises ValueError for a tolerance that is not positive or that the precision cannot reach, RuntimeError if
    `max_sweeps` do not suffice.
    """
    begin = time.perf_counter()
    if method not in get_args(Method):
        raise ValueError(f"method = {method!r}: it must be one of {', '.join(map(repr, get_args(Method)))}.")
    if max_sweeps < 1:
        raise ValueError(f"max_sweeps = {max_sweeps}: give at least 1.")
    it = problem(mdp) if method == "synchronous" else problem(blocks.filled(mdp), "gathered")
    if values is not None and it.mdp is not mdp:
        values = np.concatenate([values, np.zeros(it.mdp.states - mdp.states)])
    name = f"value iteration, {method}"
    found = converge(
        it, _steps(it, method), method=name, tolerance=tolerance, max_sweeps=max_sweeps, values=values, start=begin
    )
    return blocks.cut(found, mdp.states)


def _steps(it: Problem, method: Method) -> Callable[[Array, Array, Array, Array], Swept]:
    factors = it.factors.astype(it.dtype)
    if method == "synchronous":
        return lambda values, target, enough, limit: iterate(
            it.model, values, jnp.asarray(factors), target, enough, limit
        )
    size = blocks.size_for(it.mdp.states)
    if method == "gauss-seidel":
        return lambda values, target, enough, limit: blocks.in_order(
            it.model, values, jnp.asarray(factors), target, enough, limit, size=size
        )
    influence = blocks.influence(it.mdp, size).astype(it.dtype)
    return lambda values, target, enough, limit: blocks.by_priority(
        it.model, values, jnp.asarray(factors), target, enough, limit, jnp.asarray(influence), size=size
    )
