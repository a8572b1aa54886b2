"""Value iteration with leaps: sweeps, and now and then the value of the greedy policy, nearly, at once.

Sweeps quickly find out what to do and then wait, at the rate gamma, for the value of doing it. Once that begins, the
linear equations of the greedy policy are solved, roughly, by BiCGSTAB (van der Vorst, 1992,
https://doi.org/10.1137/0913035), in as many sweeps over ONE action as there are digits, not 1 / (1 - gamma); more
sweeps then mend what the new values change. It is policy iteration with rough evaluation (Puterman & Shin, 1978), and
falls back to plain sweeps, which always converge, where leaps do not help.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from bellmax.mdp.converge import converge
from bellmax.mdp.layout import Model
from bellmax.mdp.model import MDP
from bellmax.mdp.solution import Problem, Solution, problem
from bellmax.mdp.sweeps import Swept, backup, best_action, follow, gain, iterate

FIRST, BETWEEN = 64, 32  # sweeps before the first leap, and from one to the next
SLOW = 0.1  # no leaps where the discount leaves less than this of an error in BETWEEN sweeps
DISAPPOINTMENTS = 6  # leaps after which the residual was no better than ever before, until there are no more leaps
SOLVES = 24  # steps of BiCGSTAB in a leap, at most
ROUGHLY = 0.3  # of the residual that a leap may leave


def leaping_value_iteration(
    mdp: MDP, *, tolerance: float | None = None, max_sweeps: int = 1_000_000, values: np.ndarray | None = None
) -> Solution:
    """Solve `mdp` as `value_iteration` does, in a fraction of its sweeps where gamma is near 1."""
    begin = time.perf_counter()
    it = problem(mdp)
    name = "value iteration with leaps"
    step = _Leaper(it)
    return converge(it, step, method=name, tolerance=tolerance, max_sweeps=max_sweeps, values=values, start=begin)


class _Leaper:
    """A step of `converge`: some sweeps, then a leap."""

    def __init__(self, it: Problem) -> None:
        self.it, self.best = it, np.inf
        slow = it.factors[1] < 1 and it.factors[1] ** BETWEEN > SLOW  # undiscounted, values too high may stay so
        self.patience, self.between = DISAPPOINTMENTS * bool(slow), FIRST
        self.factors = it.factors.astype(it.dtype)

    def __call__(self, values: Array, target: Array, enough: Array, limit: Array) -> Swept:
        swept = iterate(
            self.it.model, values, jnp.asarray(self.factors), target, enough, jnp.minimum(limit, self.between)
        )
        made = int(swept.sweeps)
        last = float(swept.residuals[made - 1])
        floor = 0.5 * self.it.rounding(float(swept.size), self.it.dtype.type)
        met = float(swept.radius) <= target or last <= enough
        if met or made < self.between or last <= floor or not self.patience:
            return swept
        self.between = BETWEEN
        self.patience -= last >= self.best
        self.best = min(self.best, last)
        return swept._replace(values=leap(self.it.model, swept.values))


class Search(NamedTuple):
    """BiCGSTAB's state, in the letters of the paper."""

    x: Array
    r: Array
    p: Array
    v: Array
    rho: Array
    alpha: Array
    omega: Array
    steps: Array


@jax.jit
def leap(model: Model, values: Array) -> Array:
    """Nearly the values of the policy that is greedy for `values`; `values` themselves if that was not to be had."""
    chosen = follow(model, best_action(model, values))
    free = chosen.with_reward(jnp.zeros_like(chosen.reward))
    equation = lambda x: -gain(free, x)  # (I - gamma P) x
    start = backup(chosen, values)
    found = bicgstab(equation, chosen, start)
    distance = lambda x: jnp.max(jnp.abs(gain(chosen, x)))
    return jnp.where(distance(found) < distance(values), found, start)


def bicgstab(equation: Callable[[Array], Array], chosen: Model, start: Array) -> Array:
    """Solve x = r + gamma P x from `start` until ROUGHLY so much of the residual is left, or for SOLVES steps."""
    residual = gain(chosen, start)
    first = jnp.max(jnp.abs(residual))
    one, zero = jnp.ones((), start.dtype), jnp.zeros_like(start)

    def step(at: Search) -> Search:
        rho = jnp.vdot(residual, at.r)
        p = at.r + rho / at.rho * at.alpha / at.omega * (at.p - at.omega * at.v)
        v = equation(p)
        alpha = rho / jnp.vdot(residual, v)
        s = at.r - alpha * v
        t = equation(s)
        omega = jnp.vdot(t, s) / jnp.vdot(t, t)
        return Search(at.x + alpha * p + omega * s, s - omega * t, p, v, rho, alpha, omega, at.steps + 1)

    def going(at: Search) -> Array:
        return (at.steps < SOLVES) & (jnp.max(jnp.abs(at.r)) > ROUGHLY * first)

    return lax.while_loop(going, step, Search(start, residual, zero, zero, one, one, one, jnp.int32(0))).x
