"""Q-learning on slippery FrozenLake: how often its greedy policy arrives within Gymnasium's time limit, exactly."""

from __future__ import annotations

import jax
import numpy as np

from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.drivers import ingraph
from bellmax.envs import FrozenLake, grid
from bellmax.envs.frozen_lake import MAPS
from bellmax.maths.exploration import CountBonus
from benchmarks.book.claim import Claim

SEEDS = 5
LAKES = {
    "4x4": (100, 150_000, 0.70, "Gymnasium's threshold .70"),
    "8x8": (200, 300_000, 0.83, "Gymnasium's threshold .85"),
}
OPTIMISTIC = QLearning(gamma=0.99, learning_rate=1.0, decay=0.7, initial=1.0, exploration=CountBonus(1.0))


def success(policy: np.ndarray, name: str, limit: int) -> float:
    """The probability of reaching G from S within `limit` steps; policy: an action a cell."""
    moves, letters = grid.moves(MAPS[name]), grid.letters(MAPS[name])
    here, arrived, over = np.arange(len(letters)), (letters == "G").astype(float), np.isin(letters, ["G", "H"])
    value = arrived
    for _ in range(limit):
        value = np.where(over, arrived, sum(value[moves.cell[here, (policy + turn) % 4]] for turn in (-1, 0, 1)) / 3)
    return float(value[0])


def claims() -> list[Claim]:
    """Both lakes, the median of the seeds."""
    found = []
    for name, (limit, steps, least, reference) in LAKES.items():
        env = FrozenLake(map_name=name)
        run = jax.vmap(lambda key, env=env, steps=steps: ingraph.train(OPTIMISTIC, env, key, steps=steps)[0].state.q)
        tables = np.asarray(jax.jit(run)(jax.random.split(jax.random.key(0), SEEDS)))
        rates = [success(q.argmax(1), name, limit) for q in tables]
        settings = f"{steps:,} steps, {SEEDS} seeds, evaluated exactly; alpha 1 / n^.7, Q = 1 at first, CountBonus(1)"
        found.append(
            Claim(
                "Control",
                f"FrozenLake {name}, slippery, success of Q-learning's greedy policy, worst and median seed",
                f"{min(rates):.3f}, {np.median(rates):.3f}",
                reference,
                f">= {least:.2f}",
                min(rates) >= least,
                settings,
            )
        )
    return found
