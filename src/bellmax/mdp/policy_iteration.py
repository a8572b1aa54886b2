"""Policy iteration: evaluate the policy, act greedily, until the policy stays (Howard, 1960; Sutton & Barto, 4.3).

Modified policy iteration (Puterman & Shin, 1978, https://doi.org/10.1287/mnsc.24.11.1127) evaluates with a few cheap
sweeps only: between policy iteration and value iteration.

Beyond the book: an action is given up only for one that is better by more than rounding can explain, so that ties end;
with gamma = 1 the first policy is one that ends, and strict improvement then keeps to those.
"""

from __future__ import annotations

import time

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.mdp import endings
from bellmax.mdp.converge import converge, resolve
from bellmax.mdp.evaluation import linear, under
from bellmax.mdp.layout import precision
from bellmax.mdp.model import MDP
from bellmax.mdp.solution import Problem, Solution, conclude, judge, problem
from bellmax.mdp.sweeps import Swept, action_values, best_action, follow, iterate

ROUNDS = 10_000  # improvements; a few dozen are usual


def policy_iteration(mdp: MDP, *, tolerance: float | None = None) -> Solution:
    """Solve `mdp` exactly, up to rounding: sparse linear systems in float64, one an improvement.

    Raises ValueError if rounding leaves a bound above `tolerance` (None: 1e-8, or what float32 can hold), or, with
    gamma = 1, if a policy that ends does not exist or reward can be collected for ever.
    """
    begin = time.perf_counter()
    it, wanted = problem(mdp), resolve(tolerance, mdp)
    policy = endings.demand_a_way(mdp) if mdp.gamma == 1 else endings.legal_actions(mdp).argmax(axis=0)
    policy = np.where(mdp.absorbing, 0, policy)
    residuals: list[float] = []
    for _ in range(ROUNDS):
        only = under(mdp, policy)
        if mdp.gamma == 1:
            _demand_an_end(only)
        values, error, _ = linear(only.replace(probability=only.probability.astype(float), check=False))
        better, improvement = _improve(it, values, policy, error)
        residuals.append(improvement)
        if (better == policy).all():
            break
        policy = better
    else:
        raise RuntimeError(f"policy iteration did not end within {ROUNDS} improvements; use value_iteration().")
    verdict = judge(it, values)
    if verdict.bound > wanted > 0:
        raise ValueError(
            f"tolerance = {wanted:g} cannot be reached in {it.dtype} on this model: rounding leaves a bound of "
            f"{verdict.bound:.2g}; give that or more{', or make the model float64' * (it.dtype == np.float32)}."
        )
    seconds = time.perf_counter() - begin
    return conclude(it, verdict, np.array(residuals), len(residuals), seconds, "policy iteration")


def _improve(it: Problem, values: np.ndarray, policy: np.ndarray, error: float) -> tuple[np.ndarray, float]:
    """The greedy policy, where it is better than `policy` beyond rounding -> policy, the largest improvement."""
    with precision(np.float64):
        q = np.asarray(action_values(it.exact, jnp.asarray(values)))
    kept = np.take_along_axis(q, policy[None], axis=0)[0]
    error = error if np.isfinite(error) else 1e-9 * float(np.abs(values).max())
    slack = 2 * (error + it.rounding(float(np.abs(values).max())))
    gain = q.max(axis=0) - kept
    return np.where(gain > slack, q.argmax(axis=0), policy), float(gain.max())


def _demand_an_end(only: MDP) -> None:
    """With gamma = 1, improving on a policy that ends gives one that does not only where a loop pays."""
    _, found = endings.towards_the_end(only, endings.legal_actions(only))
    if not found.all():
        raise ValueError(
            f"with gamma = 1, reward can be collected for ever from state {found.argmin()}: there is no optimum; give "
            "gamma < 1, or take the loop's reward away."
        )


def modified_policy_iteration(
    mdp: MDP, *, evaluation_sweeps: int = 20, tolerance: float | None = None, max_sweeps: int = 1_000_000
) -> Solution:
    """Solve `mdp` by sweeps that improve the policy, each followed by `evaluation_sweeps` that only evaluate it.

    Tolerance and errors are those of `value_iteration`; `sweeps` counts the improving ones.
    """
    begin = time.perf_counter()
    if evaluation_sweeps < 0:
        raise ValueError(f"evaluation_sweeps = {evaluation_sweeps}: give 0 (value iteration) or more.")
    it = problem(mdp)
    nothing, most, factors = (np.asarray(x, it.dtype) for x in (-1.0, -1.0, it.factors))

    def step(values: Array, target: Array, enough: Array, limit: Array) -> Swept:
        swept = iterate(it.model, values, jnp.asarray(factors), target, enough, jnp.int32(1))
        if float(swept.radius) <= target or float(swept.residuals[0]) <= enough or not evaluation_sweeps:
            return swept
        chosen, left, now = follow(it.model, best_action(it.model, values)), evaluation_sweeps, swept
        while left > 0:
            now = iterate(chosen, now.values, jnp.asarray(factors), jnp.asarray(nothing), most, jnp.int32(left))
            left -= int(now.sweeps)
        return swept._replace(values=now.values, size=now.size)

    name = f"modified policy iteration, {evaluation_sweeps} sweeps"
    return converge(it, step, method=name, tolerance=tolerance, max_sweeps=max_sweeps, values=None, start=begin)
