"""Sweeps of value iteration by SciPy and by Numba: one JSON argument in, one JSON line out.

Runs in an environment of its own and imports nothing of bellmax. The argument holds "model" (an .npz file with
successor, probability, reward, absorbing and gamma), "what" ("scipy", "numba" or "scipy solution"), "calls" to time,
and for the solution "tolerance" and "values" (the .npy file to write).

SciPy: one CSR matrix [actions x states, states], its product with the values, the best action. Numba: a parallel loop
over the states with the actions and outcomes known when compiling, on both orders of the arrays; the faster counts.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numba
import numpy as np
from scipy.sparse import csr_matrix


def main(job: dict[str, Any]) -> dict[str, Any]:
    stored = np.load(job["model"])
    model = {name: stored[name] for name in stored.files}
    measured = {"scipy": scipy_sweep, "numba": numba_sweep, "scipy solution": scipy_solution}[job["what"]](model, job)
    return measured | {"versions": {name: version(name) for name in ("numba", "scipy", "numpy")}}


def matrix(model: dict[str, np.ndarray]) -> csr_matrix:
    actions, outcomes, states = model["probability"].shape
    rows = (model[name].transpose(0, 2, 1).ravel() for name in ("probability", "successor"))
    ends = np.arange(0, actions * outcomes * states + 1, outcomes, dtype=np.int32)
    return csr_matrix((*rows, ends), shape=(actions * states, states))


def backup(moves: csr_matrix, model: dict[str, np.ndarray], values: np.ndarray) -> np.ndarray:
    reward, gamma = model["reward"][:, 0], np.float32(model["gamma"])
    return (reward + gamma * (moves @ values).reshape(reward.shape)).max(axis=0)


def scipy_sweep(model: dict[str, np.ndarray], job: dict[str, Any]) -> dict[str, Any]:
    moves, values = matrix(model), some_values(model)
    seconds = timed(lambda: backup(moves, model, values), job["calls"])
    return {"seconds_per_sweep": seconds, "check": check(backup(moves, model, values))}


def scipy_solution(model: dict[str, np.ndarray], job: dict[str, Any]) -> dict[str, Any]:
    """Plain value iteration until gamma / (1 - gamma) times the residual is at most the tolerance."""
    start = time.perf_counter()
    moves, gamma = matrix(model), float(model["gamma"])
    values, sweeps, residual = np.zeros(moves.shape[1], np.float32), 0, np.inf
    while residual * gamma / (1 - gamma) > job["tolerance"] and sweeps < 10_000:
        new = backup(moves, model, values)
        residual, values, sweeps = float(np.abs(new - values).max()), new, sweeps + 1
    seconds = time.perf_counter() - start
    np.save(job["values"], values)
    return {"seconds": seconds, "sweeps": sweeps, "bound": residual * gamma / (1 - gamma)}


def numba_sweep(model: dict[str, np.ndarray], job: dict[str, Any]) -> dict[str, Any]:
    values, gamma, found = some_values(model), np.float32(model["gamma"]), {}
    probability, successor, reward = model["probability"], model["successor"], model["reward"][:, 0]
    turned = [np.ascontiguousarray(array) for array in (probability.transpose(2, 0, 1), successor.transpose(2, 0, 1))]
    arrays = {"states last": (probability, successor, reward), "states first": (*turned, reward.T.copy())}
    out = np.empty_like(values)
    for name, loop in loops(*probability.shape[:2]).items():
        seconds = timed(lambda: loop(*arrays[name], values, gamma, out), job["calls"])  # noqa: B023
        found[name] = (seconds, check(out))
    best = min(found, key=lambda name: found[name])
    return {"seconds_per_sweep": found[best][0], "check": found[best][1], "order": best, "all": found}


def loops(actions: int, outcomes: int) -> dict[str, Callable[..., None]]:
    """The loop for both orders of the arrays; sizes are constants of the compiled code."""

    @numba.njit(parallel=True, fastmath=True)
    def states_last(probability, successor, reward, values, gamma, out):
        for state in numba.prange(values.size):
            best = np.float32(-np.inf)
            for action in range(actions):
                ahead = np.float32(0)
                for outcome in range(outcomes):
                    there = numba.uint32(successor[action, outcome, state])
                    ahead += probability[action, outcome, state] * values[there]
                best = max(best, reward[action, state] + gamma * ahead)
            out[state] = best

    @numba.njit(parallel=True, fastmath=True)
    def states_first(probability, successor, reward, values, gamma, out):
        for state in numba.prange(values.size):
            best = np.float32(-np.inf)
            for action in range(actions):
                ahead = np.float32(0)
                for outcome in range(outcomes):
                    there = numba.uint32(successor[state, action, outcome])
                    ahead += probability[state, action, outcome] * values[there]
                best = max(best, reward[state, action] + gamma * ahead)
            out[state] = best

    return {"states last": states_last, "states first": states_first}


def some_values(model: dict[str, np.ndarray]) -> np.ndarray:
    values = -60 * np.random.default_rng(0).random(model["absorbing"].size, np.float32)
    values[model["absorbing"]] = 0
    return values


def check(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64))


def timed(call: Callable[[], Any], calls: int) -> float:
    """The median of `calls`, after two that compile and warm up."""
    seconds = []
    for _ in range(2 + calls):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
