"""How good are searches and what they teach, where perfect play is known? `python -m benchmarks.games [ROW ...]`

Tic-tac-toe is solved exactly: 4,520 positions in which somebody is to move. Perfect play draws every one of its best
moves alike. AlphaZero trains by its recipe, on the cores that there are, and then plays greedily, with its search,
against perfect play and at random moves; beside the games, every one of its moves is looked up. Plain tree search
meets perfect play with 1,000 simulations a move.

The controls are exact: random play as X beats random play with probability .585, perfect play beats it with .968. Both
come out of the same games.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import bellmax as bm
from bellmax.contest.games import games
from bellmax.contest.minimax import evenly_over, outcome, solve_game
from bellmax.contest.players import mcts_player, minimax_player, random_player, run_player
from bellmax.envs.names import find
from bellmax.spaces import Simulated

RESULTS = Path("docs/results/games")
GAME = "pgx:tic_tac_toe"
COMMAND = "python -m benchmarks.games"


def line(what: str, figure: Any, target: str, met: bool | None, began: float) -> dict[str, Any]:
    """A row of the table."""
    seconds = round(time.perf_counter() - began, 1)
    print(f"{what}: {figure} (target {target}, {seconds} s)", flush=True)
    return {"what": what, "figure": figure, "target": target, "met": met, "seconds": seconds}


def controls(count: int = 1000) -> list[dict[str, Any]]:
    """What the arena says of players whose results are known."""
    rules, rows = find(GAME), []
    for first, exact in ((random_player(rules), 0.585), (minimax_player(rules), 0.968)):
        began, tally = time.perf_counter(), games(first, random_player(rules), rules, count)[0]
        near = abs(tally.wins / count - exact) < 4 * (exact * (1 - exact) / count) ** 0.5
        share = f"{tally.wins / count:.3f}"
        rows.append(line(f"{first.name} as X wins against random", share, f"{exact} within 4 deviations", near, began))
    return rows


def tree_search(count: int = 200, simulations: int = 1000) -> list[dict[str, Any]]:
    """Plain tree search against perfect play, either colour."""
    rules, began = find(GAME), time.perf_counter()
    search, best = mcts_player(rules, simulations), minimax_player(rules)
    tally = games(search, best, rules, count // 2)[0] + games(best, search, rules, count // 2)[0].turned()
    what = f"mcts, {simulations:,} simulations, against minimax: lost of {count}"
    return [line(what, tally.losses, "0", tally.losses == 0, began)]


def alphazero(count: int = 1000, seed: int = 0, **options: Any) -> list[dict[str, Any]]:
    """AlphaZero by its recipe, then 1,000 games against perfect play, and at random moves."""
    began = time.perf_counter()
    run = bm.train("alphazero", GAME, seeds=(seed,), run_folder=None, display="quiet", **options)
    minutes = (time.perf_counter() - began) / 60
    rows = [
        line("alphazero: minutes of training, compilation included", round(minutes, 1), "<= 15", minutes <= 15, began)
    ]
    rows += [line("alphazero: moves of self-play a second", round(run.timing["steps_per_second"]), "", None, began)]
    rules, began, half = find(GAME), time.perf_counter(), count // 2
    zero, best, anyhow = run_player(run), minimax_player(rules), random_player(rules)
    tally = games(zero, best, rules, half)[0] + games(best, zero, rules, half)[0].turned()
    rows += [line(f"alphazero against minimax: lost of {count}", tally.losses, "0", tally.losses == 0, began)]
    wins = games(zero, anyhow, rules, count)[0].wins / count
    rows += [line("alphazero as X wins against random", wins, ">= 0.96", wins >= 0.96, began)]
    return rows + exactly(run)


def exactly(run: Any) -> list[dict[str, Any]]:
    """The same without luck: its move in every position that there is."""
    began, solved = time.perf_counter(), solve_game(find(GAME))
    count, algorithm, state = len(solved.value), run.algorithm, run.state_of(0)
    keys, obs = jax.random.split(jax.random.key(1), count), Simulated(solved.obs, solved.simulators)
    choose = jax.jit(lambda obs, key: algorithm.greedy(state, obs, key, jnp.int32(0)).action)
    moves = np.asarray(jax.lax.map(lambda now: choose(*now), (obs, keys), batch_size=512))
    mine, best = np.eye(solved.q.shape[1])[moves], evenly_over(solved.best)
    lost = outcome(solved, mine, best)[2] + outcome(solved, best, mine)[0]
    wins = outcome(solved, mine, evenly_over(solved.legal))[0]
    mistakes = int((~solved.best[np.arange(count), moves]).sum())
    return [
        line("alphazero: exact probability of losing to minimax, both colours", round(lost, 4), "0", lost == 0, began),
        line(
            "alphazero: exact probability of winning as X against random",
            round(wins, 4),
            ">= 0.96",
            wins >= 0.96,
            began,
        ),
        line(f"alphazero: moves that give something away, in all {count:,} positions", mistakes, "", None, began),
    ]


ROWS = {"controls": controls, "mcts": tree_search, "alphazero": alphazero}
COLUMNS = {"what": "what", "figure": "figure", "target": "target", "met": "met", "seconds": "seconds"}


def main(names: list[str]) -> None:
    """All rows, or those that are named."""
    from bellmax.report import write_result

    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise SystemExit(f"there is no row {unknown[0]!r}: choose from {', '.join(ROWS)}.")
    table = [row for name in names or ROWS for row in ROWS[name]()]
    notes = [" ".join(part.split()) for part in (__doc__ or "").split("\n\n")[1:]]
    if not names:
        write_result(RESULTS, "Games and search", table, COLUMNS, notes, seeds=(0,), command=COMMAND)


if __name__ == "__main__":
    main(sys.argv[1:])
