"""The optimum as a linear programme (d'Epenoux, 1963; Puterman, section 6.9): a check for small models.

minimise sum_s v(s)    subject to    v(s) >= r(s,a) + gamma sum_s' p(s'|s,a) v(s')    for all legal s, a
"""

from __future__ import annotations

import time

import numpy as np

from bellmax.mdp import endings
from bellmax.mdp.layout import expected_reward
from bellmax.mdp.model import MDP
from bellmax.mdp.solution import Solution, conclude, judge, problem


def linear_programme(mdp: MDP) -> Solution:
    """Solve `mdp` with HiGHS, through SciPy, in float64; its answer's bound is proven like any other's.

    Raises RuntimeError with the solver's words if it finds no optimum.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix

    begin = time.perf_counter()
    if mdp.gamma == 1:
        endings.demand_a_way(mdp)
    rows = endings.legal_actions(mdp) & ~mdp.absorbing
    number = np.cumsum(rows).reshape(rows.shape) - 1
    action, outcome, state = np.nonzero((mdp.probability > 0) & rows[:, None])
    chance = mdp.gamma * mdp.probability[action, outcome, state].astype(np.float64)
    own = np.nonzero(rows)
    entries = np.concatenate([chance, -np.ones(len(own[0]))])
    row = np.concatenate([number[action, state], number[own]])
    column = np.concatenate([mdp.successor[action, outcome, state], own[1]])
    least = coo_matrix((entries, (row, column)), shape=(int(rows.sum()), mdp.states)).tocsr()
    bounds = np.where(mdp.absorbing[:, None], 0.0, [-np.inf, np.inf])
    exact = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    answer = linprog(
        np.ones(mdp.states), least, -expected_reward(mdp)[rows], bounds=bounds, method="highs", options=exact
    )
    if answer.status != 0:
        raise RuntimeError(f"linear_programme: HiGHS found no optimum: {answer.message}")
    it = problem(mdp)
    verdict = judge(it, answer.x)
    seconds, residuals = time.perf_counter() - begin, np.array([verdict.residual])
    return conclude(it, verdict, residuals, int(answer.nit), seconds, "linear programme")
