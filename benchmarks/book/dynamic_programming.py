"""Dynamic programming: chapters 3 and 4 of the book, and FrozenLake's exact values, by every method."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bellmax import mdp
from bellmax.mdp import MDP, problems
from bellmax.mdp.evaluation import evaluate_policy
from bellmax.mdp.horizon import backward_induction
from bellmax.mdp.policy_iteration import modified_policy_iteration, policy_iteration
from bellmax.mdp.problems.gambler import winning_chances
from bellmax.mdp.programme import linear_programme
from bellmax.mdp.solution import Solution
from bellmax.mdp.value_iteration import value_iteration
from benchmarks.book import dynamic_programming_figures as figures_of
from benchmarks.book.claim import Claim

SECTION = "Dynamic programming"
LAKES = {("4x4", 0.99): 0.542026, ("4x4", 0.9): 0.068891, ("8x8", 0.99): 0.414640, ("8x8", 0.9): 0.006411}
SUCCESS = {"4x4": (100, 0.7402), "8x8": (200, 0.8630)}  # Gymnasium's time limits
EXACT = "1e-6"


def claims(figures: Path) -> list[Claim]:
    """Every line of the section; figures go into the folder."""
    lakes = {case: lake(*case) for case in LAKES}
    return [*frozen_lake(lakes), *time_limits(lakes, figures), *agreement(lakes), *gridworlds(figures),
            *gamblers_problem(figures), *jacks_car_rental(figures)]  # fmt: skip


def lake(size: str, gamma: float) -> MDP:
    return mdp.from_gymnasium("FrozenLake-v1", gamma, map_name=size)


def frozen_lake(lakes: dict[tuple[str, float], MDP]) -> Iterable[Claim]:
    for (size, gamma), model in lakes.items():
        reference = LAKES[size, gamma]
        for dtype, tolerance in ((np.float64, 1e-6), (np.float32, 1e-4)):
            value = float(mdp.solve(model.astype(dtype)).values[0])
            what = f"FrozenLake {size} slippery, gamma {gamma}, V*(start), {dtype.__name__}"
            passed = abs(value - reference) <= tolerance
            yield Claim(SECTION, what, f"{value:.6f}", f"{reference:.6f} (exact)", f"{tolerance:g}", passed, "solve")


def time_limits(lakes: dict[tuple[str, float], MDP], figures: Path) -> Iterable[Claim]:
    for size, (limit, reference) in SUCCESS.items():
        model = lakes[size, 0.99]
        solution = value_iteration(model)
        success = mdp.forecast(model, solution.policy, limit).score[-1]
        what = f"FrozenLake {size}, success of the greedy policy within {limit} steps, gamma .99"
        passed = abs(success - reference) <= 1e-4
        yield Claim(
            SECTION, what, f"{success:.4f}", f"{reference:.4f} (exact)", ".0001", passed, "propagated, no sampling"
        )
        title = f"FrozenLake {size}: values and best actions, gamma 0.99"
        figures_of.grid_values(
            model, solution.values, solution.optimal_actions, title, figures / f"frozen-lake-{size}.png"
        )


def methods(model: MDP) -> dict[str, Solution]:
    """The model's solution by every method there is."""
    ways = ("synchronous", "gauss-seidel", "prioritised")
    found = {f"value iteration, {way}": value_iteration(model, method=way) for way in ways}
    found["policy iteration"] = policy_iteration(model)
    found["modified policy iteration"] = modified_policy_iteration(model)
    found["linear programming"] = linear_programme(model)
    return found


def agreement(lakes: dict[tuple[str, float], MDP]) -> Iterable[Claim]:
    """The largest difference between any two methods, the linear equations of the best policy among them."""
    models = [*lakes.values(), mdp.gambler(), mdp.leaping_gridworld(), mdp.small_gridworld()]
    worst = 0.0
    for model in models:
        found = {name: solution.values for name, solution in methods(model).items()}
        found["linear equations"] = evaluate_policy(model, policy_iteration(model).policy, method="linear").values
        values = np.stack(list(found.values()))
        worst = max(worst, float(np.ptp(values, axis=0).max()))
    what = f"{len(found)} methods on {len(models)} models, the largest difference of a value"
    yield Claim(SECTION, what, f"{worst:.1e}", "0", EXACT, worst <= 1e-6, ", ".join(found))


def gridworlds(figures: Path) -> Iterable[Claim]:
    small, leaping = mdp.small_gridworld(), mdp.leaping_gridworld()
    evenly = evaluate_policy(small, np.full((16, 4), 0.25), method="iterative").values
    expected = np.array([0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0])
    off = float(np.abs(evenly - expected).max())
    row = " ".join(f"{value:.0f}" for value in evenly[:4] + 0.0)
    yield Claim(
        SECTION, "Example 4.1, random policy, k = infinity", row, "0 -14 -20 -22", EXACT, off <= 1e-6, "all 16 states"
    )
    evenly = evaluate_policy(leaping, np.full((25, 4), 0.25), method="linear").values
    yield _printed("Example 3.5, random policy", evenly, [3.3, 8.8, 4.4, 5.3, 1.5])
    best = value_iteration(leaping)
    yield _printed("Example 3.8, optimal values, row 1", best.values, [22.0, 24.4, 22.0, 19.4, 17.5])
    yield _printed("Example 3.8, optimal values, row 2", best.values[5:], [19.8, 22.0, 19.8, 17.8, 16.0])
    arrows = mdp.policy_text(leaping, best.optimal_actions).split()
    book = ["→", "←↓→↑", "←", "←↓→↑", "←", "→↑", "↑", "←↑", "←", "←", *["→↑", "↑", "←↑", "←↑", "←↑"] * 3]
    shown = (" ".join(row[:5]) for row in (arrows, book))
    yield Claim(SECTION, "Example 3.8, all optimal actions", *shown, "exact", arrows == book, "all 25 states")
    title = "Example 3.8: optimal values and actions of the gridworld"
    figures_of.grid_values(leaping, best.values, best.optimal_actions, title, figures / "gridworld-3-8.png", digits=1)


def _printed(what: str, values: np.ndarray, book: list[float]) -> Claim:
    """Beside what the book prints, with one decimal."""
    said = [float(round(value, 1)) for value in values[: len(book)]]
    numbers = (" ".join(f"{value:.1f}" for value in row) for row in (said, book))
    return Claim(SECTION, what, *numbers, "as printed", said == book, "gamma .9")


def gamblers_problem(figures: Path) -> Iterable[Claim]:
    model = mdp.gambler()
    solution = value_iteration(model, tolerance=1e-12)
    half = float(solution.values[50])
    off = float(np.abs(solution.values - winning_chances())[1:-1].max())
    yield Claim(
        SECTION, "Gambler's problem, p_h .4, V(50)", f"{half:.12g}", "0.4", "1e-12", abs(half - 0.4) <= 1e-12, ""
    )
    what = "Gambler's problem, distance to the value of bold play (Dubins & Savage)"
    yield Claim(SECTION, what, f"{off:.1e}", "0", "1e-10", off <= 1e-10, "99 states")
    stakes = least_stakes(solution)
    spikes = {capital: stakes[capital] for capital in (25, 50, 75)}
    what = "Figure 4.3, final policy: stakes at 25, 50, 75 and least at 51, 52, 53"
    measured = [*spikes.values(), *stakes[51:54]]
    said = " ".join(map(str, measured))
    yield Claim(SECTION, what, said, "25 50 25 1 2 3", "exact", said == "25 50 25 1 2 3", "least of the best stakes")
    sweeps = backward_induction(model, 32)[0][::-1]  # row k: the values after k sweeps
    curves = {f"sweep {k}": sweeps[k] for k in (1, 2, 3, 32)} | {"final": solution.values}
    figures_of.gambler(curves, stakes, solution.optimal_actions, figures / "gambler-4-3.png")


def least_stakes(solution: Solution) -> np.ndarray:
    """The least of the best stakes for each capital, [goal + 1]; 0 at the ends."""
    stakes = solution.optimal_actions.argmax(axis=1) + 1
    stakes[[0, -1]] = 0
    return stakes


def jacks_car_rental(figures: Path) -> Iterable[Claim]:
    model = problems.car_rental()
    policies, values = improvements(model)
    changes = len(policies) - 1
    what = "Jack's car rental, improvements until nothing changes (figure 4.2 shows policies 0 to 4)"
    yield Claim(SECTION, what, str(changes), "4", "exact", changes == 4, "policy iteration from moving none")
    first = float(values[0])
    what = "Jack's car rental, v(0, 0), the least value"
    yield Claim(
        SECTION, what, f"{first:.2f}", "420 (figure 4.2)", "1 %", abs(first / 420 - 1) <= 0.01, "tails added exactly"
    )
    best = value_iteration(model, tolerance=1e-8)
    off = float(np.abs(best.values - values).max())
    what = "Jack's car rental, policy iteration against value iteration"
    yield Claim(SECTION, what, f"{off:.1e}", "0", EXACT, off <= 1e-6, "441 states")
    figures_of.car_rental([policy.reshape(21, 21) - 5 for policy in policies], values.reshape(21, 21),
                          figures / "car-rental-4-2.png")  # fmt: skip


def improvements(model: MDP) -> tuple[list[np.ndarray], np.ndarray]:
    """Policy iteration step by step -> policies 0, 1, ... until nothing changes, and the values of the last."""
    policies = [np.full(model.states, model.actions // 2)]  # no car is moved
    while True:
        found = evaluate_policy(model, policies[-1], method="linear")
        here = np.arange(model.states), policies[-1]
        better = found.q.max(axis=1) > found.q[here] + 1e-9
        policies.append(np.where(better, found.q.argmax(axis=1), policies[-1]))
        if not better.any():
            return policies[:-1], found.values
