"""Sweep until the bound is reached, cannot be reached, or patience ends: what all iterative solvers share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.mdp import endings
from bellmax.mdp.layout import precision
from bellmax.mdp.model import MDP
from bellmax.mdp.solution import Problem, Solution, Verdict, conclude, judge
from bellmax.mdp.sweeps import ROOM, Swept

Step = Callable[[Array, Array, Array, Array], Swept]  # values, target, enough, limit -> some sweeps further


def resolve(tolerance: float | None, mdp: MDP) -> float:
    """The tolerance asked for: None is 1e-8 in float64, and in float32 whatever it can reach, which is said by 0."""
    if tolerance is None:
        return 1e-8 if mdp.probability.dtype == np.float64 else 0.0
    if not (isinstance(tolerance, int | float | np.number) and tolerance > 0):
        raise ValueError(f"tolerance = {tolerance!r}: it must be greater than 0, or None for what is usual.")
    return float(tolerance)


def converge(
    it: Problem, step: Step, *, method: str, tolerance: float | None, max_sweeps: int, values: Any, start: float
) -> Solution:
    """Call `step` until a bound of at most `tolerance` is proven.

    Raises ValueError if the precision does not allow it, RuntimeError if `max_sweeps` do not suffice.
    """
    wanted = resolve(tolerance, it.mdp)
    residuals: list[float] = []
    with precision(it.dtype):
        current, number = first_values(it, values), lambda x: jnp.asarray(x, it.dtype)
        target, enough = 0.8 * wanted, 0.0 if it.factors[1] < 1 else wanted / 10
        while True:
            limit = min(ROOM, max_sweeps - len(residuals))
            swept = step(current, number(target), number(enough), jnp.int32(limit))
            current, made = swept.values, int(swept.sweeps)
            residuals += np.asarray(swept.residuals)[:made].tolist()
            met = float(swept.radius) <= target or residuals[-1] <= enough
            stuck = _is_stuck(it, residuals, float(swept.size))
            out_of_time = len(residuals) >= max_sweeps
            if not (met or stuck or out_of_time):
                continue
            verdict = judge(it, current)
            if verdict.bound <= wanted or (stuck and wanted == 0 and math.isfinite(verdict.bound)):
                break
            if stuck or out_of_time:
                _give_up(it, verdict, wanted, residuals, stuck, max_sweeps)
            target, enough = target / 4, _next(enough, verdict, wanted)
    seconds = time.perf_counter() - start
    return conclude(it, verdict, np.array(residuals), len(residuals), seconds, method)


def _next(enough: float, verdict: Verdict, wanted: float) -> float:
    """The residual to try for, where the bound is the residual times a number of steps."""
    if enough == 0:
        return 0.0
    return (
        min(enough / 2, verdict.residual * wanted / verdict.bound / 2) if math.isfinite(verdict.bound) else enough / 8
    )


def _is_stuck(it: Problem, residuals: list[float], size: float) -> bool:
    """The values do not move, or as little as rounding moves them, and have not moved less for long.

    In exact arithmetic, sweeps would have brought the residual to an eighth within the window.
    """
    if residuals[-1] == 0:
        return True
    if residuals[-1] > 8 * it.rounding(size, it.dtype.type):
        return False
    half = math.log(2) / -math.log(max(it.factors[1], 0.01)) if it.factors[1] < 1 else 100.0
    window = min(2000, math.ceil(3 * half) + 2)
    before = residuals[:-window]
    return bool(before) and min(residuals[-window:]) > 0.5 * min(before)


def _give_up(
    it: Problem, verdict: Verdict, wanted: float, residuals: list[float], stuck: bool, max_sweeps: int
) -> None:
    if not math.isfinite(verdict.bound) and stuck:
        raise ValueError(
            "the values no longer move, but with gamma = 1 nothing bounds their distance to the optimum: some policy "
            "that is as good never ends; give gamma < 1, or make its steps cost something."
        )
    if stuck:
        remedy = "or make the model float64" if it.dtype == np.float32 else "or scale the rewards down"
        raise ValueError(
            f"tolerance = {wanted:g} cannot be reached in {it.dtype} on this model: rounding leaves a bound of "
            f"{verdict.bound:.2g}; give that or more, {remedy}."
        )
    raise RuntimeError(
        f"not converged within max_sweeps = {max_sweeps}: values still change by {residuals[-1]:.3g} a sweep, "
        f"the bound is {verdict.bound:.3g} and not {wanted:g}; give more sweeps, a larger tolerance, or use solve()."
    )


def first_values(it: Problem, values: Any) -> Array:
    """Where to begin: what the caller gives, else 0.

    With gamma = 1, free walks and costs, values from above would stay above: begin below, with the value of a policy
    that ends, every step of it taken to cost as much as its dearest.
    """
    mdp = it.mdp
    if values is not None:
        given = np.asarray(values)
        if given.shape != (mdp.states,) or not np.isfinite(given).all():
            raise ValueError(f"values has shape {given.shape}: give a finite number for each of {mdp.states} states.")
        return jnp.where(it.model.absorbing, 0, jnp.asarray(given, it.dtype))
    zero = jnp.zeros(mdp.states, it.dtype)
    if it.factors[1] < 1 or mdp.gamma < 1:
        return zero
    policy = endings.demand_a_way(mdp)
    rewards = np.broadcast_to(np.asarray(it.exact.reward), (mdp.actions, mdp.states))
    dearest = max(0.0, -float(rewards[policy, np.arange(mdp.states)][~mdp.absorbing].min()))
    if dearest == 0 or not endings.free_walks(mdp)[0].any():
        return zero
    with precision(np.float64):
        chosen = np.arange(mdp.actions)[:, None] == policy
        only = it.exact.with_reward(jnp.where(jnp.asarray(chosen), 1.0, -jnp.inf))
        longest = float(endings.longest_time(only, jnp.arange(mdp.states)))
    return jnp.where(it.model.absorbing, zero, jnp.asarray(-dearest * longest, it.dtype))
