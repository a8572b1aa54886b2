"""Q-learning on a small model by a Numba loop: one JSON argument in, one JSON line out.

Runs in an environment of its own and imports nothing of bellmax. The argument holds "model" (an .npz file with sums
[states, actions, outcomes], successor, reward, ends, of the same shape, and start) and "steps". Random numbers are
drawn in blocks of 4,096 by NumPy, outside the compiled loop but in the time.
"""

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import numba
import numpy as np

BLOCK, EPSILON, ALPHA, GAMMA, LIMIT = 4_096, 0.1, 0.1, 0.99, 100


@numba.njit
def learn(q, state, clock, numbers, sums, successor, reward, ends, start):
    """A step a row of numbers [steps, 3] -> where it stands."""
    actions, outcomes = q.shape[1], sums.shape[2]
    for t in range(numbers.shape[0]):
        if numbers[t, 0] < EPSILON:
            action = int(numbers[t, 1] * actions)
        else:  # ties go to the one drawn
            best, ties = -np.inf, 0
            for a in range(actions):
                if q[state, a] > best:
                    best, ties = q[state, a], 1
                elif q[state, a] == best:
                    ties += 1
            wanted, action = int(numbers[t, 1] * ties), 0
            for a in range(actions):
                if q[state, a] == best:
                    if wanted == 0:
                        action = a
                        break
                    wanted -= 1
        k = 0
        while k < outcomes - 1 and sums[state, action, k] <= numbers[t, 2]:
            k += 1
        there, end = successor[state, action, k], ends[state, action, k]
        value = 0.0
        if not end:
            value = q[there, 0]
            for a in range(1, actions):
                value = max(value, q[there, a])
        q[state, action] += ALPHA * (reward[state, action, k] + GAMMA * value - q[state, action])
        clock += 1
        if end or clock >= LIMIT:
            state, clock = start, 0
        else:
            state = there
    return state, clock


def main(job: dict[str, Any]) -> dict[str, Any]:
    model = np.load(job["model"])
    tables = [model[name] for name in ("sums", "successor", "reward", "ends")]
    random, start = np.random.default_rng(job.get("seed", 0)), int(model["start"])

    def run(steps: int) -> tuple[float, np.ndarray]:
        q, state, clock = np.zeros(tables[0].shape[:2], np.float32), start, 0
        began = time.perf_counter()
        for _ in range(steps // BLOCK):
            state, clock = learn(q, state, clock, random.random((BLOCK, 3), np.float32), *tables, start)
        return time.perf_counter() - began, q

    run(BLOCK)  # compiles
    seconds, q = run(job["steps"])
    found = {"steps_per_second": job["steps"] // BLOCK * BLOCK / seconds, "start_value": float(q[start].max())}
    return found | {"versions": {name: version(name) for name in ("numba", "numpy")}}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
