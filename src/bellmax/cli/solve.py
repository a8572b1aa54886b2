"""`bellmax solve ENV`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from tyro.conf import Positional, UseAppendAction, arg

from bellmax.cli.board import board_of, board_text
from bellmax.cli.flags import Flag, PlotPath, parse
from bellmax.cli.options import setting
from bellmax.compilation import use_cache
from bellmax.envs.names import find
from bellmax.exactness import Result, model_of, result_of, time_limit
from bellmax.mdp.model import MDP
from bellmax.mdp.policy_iteration import modified_policy_iteration, policy_iteration
from bellmax.mdp.programme import linear_programme
from bellmax.mdp.solution import Solution
from bellmax.mdp.solving import solve
from bellmax.mdp.value_iteration import value_iteration
from bellmax.report.grid_plots import plot_grid
from bellmax.report.wording import duration, figure

METHODS: dict[str, Callable[[MDP, float], Solution]] = {
    "auto": lambda mdp, tolerance: solve(mdp, tolerance=tolerance),
    "value-iteration": lambda mdp, tolerance: value_iteration(mdp, tolerance=tolerance),
    "gauss-seidel": lambda mdp, tolerance: value_iteration(mdp, method="gauss-seidel", tolerance=tolerance),
    "prioritised": lambda mdp, tolerance: value_iteration(mdp, method="prioritised", tolerance=tolerance),
    "policy-iteration": lambda mdp, tolerance: policy_iteration(mdp, tolerance=tolerance),
    "modified-policy-iteration": lambda mdp, tolerance: modified_policy_iteration(mdp, tolerance=tolerance),
    "linear-programme": lambda mdp, _: linear_programme(mdp),
}
Method = Literal[
    "auto",
    "value-iteration",
    "gauss-seidel",
    "prioritised",
    "policy-iteration",
    "modified-policy-iteration",
    "linear-programme",
]


@dataclass(frozen=True)
class Solve:
    """Solve an environment exactly, without learning: the value of every state, and all the best actions."""

    env: Annotated[str, Positional, arg(metavar="ENV")]  # such as FrozenLake-v1, Taxi-v4 or bellmax:GridWorld
    gamma: float = 0.99  # discount, from 0 to 1
    method: Method = "auto"  # how; auto: what is fastest
    tolerance: float = 1e-8  # how far values may be from the optimum, at most
    set: Annotated[tuple[str, ...], UseAppendAction, arg(metavar="KEY=VALUE")] = ()  # an option of the environment
    plot: PlotPath = None
    json: Flag = False  # print one line of JSON


def main(words: list[str]) -> None:
    """Solve, and show the solution."""
    asked = parse(Solve, words, "solve")
    use_cache()
    source = find(asked.env, **dict(map(setting, asked.set)))
    mdp = model_of(source, asked.gamma)
    solution = METHODS[asked.method](mdp, asked.tolerance)
    greedy = np.eye(mdp.actions)[np.asarray(solution.policy)]
    result = result_of(mdp, greedy, time_limit(source))
    print(json.dumps(facts(asked, mdp, solution, result)) if asked.json else said(asked, mdp, solution, result))
    if asked.plot is not None:
        drawn(asked, mdp, solution)


def drawn(asked: Solve, mdp: MDP, solution: Solution) -> None:
    """Draw it, and say where."""
    board = board_of(mdp, solution.values, solution.optimal_actions)
    if board is None:
        raise ValueError(f"--plot: the states of {asked.env} are no cells of a grid, so there is nothing to draw.")
    caption = f"Colours and numbers: V*, discount {asked.gamma:g}. Arrows: every optimal action."
    caption += " Orange: a way that is best." * bool(board.path)
    path = plot_grid(
        board, asked.plot or f"{re.sub(r'[:/]', '-', asked.env)}.png", f"{asked.env}: the optimal policy", caption
    )
    if not asked.json:
        print(f"\ndrew {path}")


def facts(asked: Solve, mdp: MDP, solution: Solution, result: Result) -> dict[str, Any]:
    """Everything that is known, for machines."""
    return {
        "env": asked.env,
        "states": mdp.states,
        "actions": mdp.actions,
        "gamma": asked.gamma,
        "method": solution.method,
        "start_value": float(mdp.starts() @ solution.values),
        "bound": float(solution.bound),
        "sweeps": int(solution.sweeps),
        "seconds": round(float(solution.seconds), 6),
        **{name: value if value is None or math.isfinite(value) else None for name, value in result._asdict().items()},
        "values": [float(value) for value in solution.values],
        "optimal_actions": [np.flatnonzero(row).tolist() for row in solution.optimal_actions],
        "policy": [int(action) for action in solution.policy],
    }


def said(asked: Solve, mdp: MDP, solution: Solution, result: Result) -> str:
    """The solution in words."""
    start, starts = float(mdp.starts() @ solution.values), int((mdp.starts() > 0).sum())
    where = "at the start" if starts == 1 else f"at the {starts:,} starts, on average"
    lines = [
        f"{asked.env}: {mdp.states:,} states, {mdp.actions} actions, discount {asked.gamma:g}",
        "",
        board_text(mdp, solution.values, solution.optimal_actions, "optimal"),
        "",
        f"value {where}  {start:.6f}",
        *outcome(result),
        f"{solution.method}: {solution.sweeps:,} iterations in {_short(solution.seconds)}, within {solution.bound:.1e}",
    ]
    return "\n".join(lines)


def outcome(result: Result) -> list[str]:
    """What becomes of an episode, in a line or two."""
    within = f"within {result.limit:,} steps" if result.limit else "without a time limit"
    lines = [f"expected return {within}  {figure(result.score)}, in {figure(result.length)} steps on average"]
    if result.success is not None:
        lines.insert(0, f"success {within}  {result.success:.2%}".replace("%", " %"))
    elif result.ended < 0.9999:
        lines.insert(0, f"the end is reached {within}  {result.ended:.2%}".replace("%", " %"))
    return lines


def _short(seconds: float) -> str:
    return duration(seconds) if seconds >= 0.1 else f"{1000 * seconds:.1f} ms"
