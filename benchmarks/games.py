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
from bellmax.drivers import ingraph
from bellmax.envs.names import find
from bellmax.envs.with_simulator import WithSimulator
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


def exactly(run: Any, name: str = "alphazero", losses: float = 0.0) -> list[dict[str, Any]]:
    """The same without luck: its move in every position that there is."""
    began, solved = time.perf_counter(), solve_game(find(GAME))
    count, algorithm, state = len(solved.value), run.algorithm, run.state_of(0)
    keys, obs = jax.random.split(jax.random.key(1), count), solved.obs
    if isinstance(run.plan.env, WithSimulator):
        obs = Simulated(obs, solved.simulators)
    choose = jax.jit(lambda obs, key: algorithm.greedy(state, obs, key, jnp.int32(0)).action)
    moves = np.asarray(jax.lax.map(lambda now: choose(*now), (obs, keys), batch_size=512))
    mine, best = np.eye(solved.q.shape[1])[moves], evenly_over(solved.best)
    lost = outcome(solved, mine, best)[2] + outcome(solved, best, mine)[0]
    wins = outcome(solved, mine, evenly_over(solved.legal))[0]
    mistakes = int((~solved.best[np.arange(count), moves]).sum())
    target, both = (f"<= {2 * losses:g}" if losses else "0"), "exact probability of losing to minimax, both colours"
    as_x = "exact probability of winning as X against random"
    return [
        line(f"{name}: {both}", round(lost, 4), target, lost <= 2 * losses, began),
        line(f"{name}: {as_x}", round(wins, 4), ">= 0.96", wins >= 0.96, began),
        line(f"{name}: moves that give something away, in all {count:,} positions", mistakes, "", None, began),
    ]


def muzero(count: int = 1000, seed: int = 0, **options: Any) -> list[dict[str, Any]]:
    """MuZero by its recipe, which is never told the rules, against perfect play."""
    began = time.perf_counter()
    run = bm.train("muzero", GAME, seeds=(seed,), run_folder=None, display="quiet", **options)
    minutes = round((time.perf_counter() - began) / 60, 1)
    rows = [line(f"muzero: minutes of training, {run.plan.steps:,} moves", minutes, "", None, began)]
    rules, began, half = find(GAME), time.perf_counter(), count // 2
    zero, best = run_player(run), minimax_player(rules)
    tally = games(zero, best, rules, half)[0] + games(best, zero, rules, half)[0].turned()
    few = tally.losses <= 0.02 * count
    rows += [line(f"muzero against minimax: lost of {count}", tally.losses, f"<= {count // 50}", few, began)]
    return rows + exactly(run, "muzero", 0.02)


def cart_pole(seeds: int = 5, steps: int = 50_000) -> list[dict[str, Any]]:
    """MuZero with one player: the return of 100 greedy episodes after 50,000 steps, seed by seed."""
    began = time.perf_counter()
    env = "gymnax:CartPole-v1"
    run = bm.train("muzero", env, seeds=seeds, steps=steps, run_folder=None, display="quiet")
    scores = [round(float(run.evaluate(100, seed=seed).mean), 1) for seed in range(seeds)]
    solved = sum(score >= 195 for score in scores)
    what = f"muzero on {env}, {steps:,} steps: seeds of {seeds} at 195 or more {scores}"
    return [line(what, solved, f">= {(seeds + 1) // 2}", 2 * solved >= seeds, began)]


def connect_four(folder: str = "", count: int = 100, rollouts: int = 200) -> list[dict[str, Any]]:
    """AlphaZero by its recipe, or a run that is there, against plain tree search with 200 games a move in its mind."""
    began = time.perf_counter()
    run = bm.load(folder) if folder else bm.train("alphazero", "pgx:connect_four", run_folder=None, display="quiet")
    rules, half = find("pgx:connect_four"), count // 2
    zero, search = run_player(run), mcts_player(rules, rollouts)
    tally = games(zero, search, rules, half)[0] + games(search, zero, rules, half)[0].turned()
    what = f"alphazero on connect four, {max(run.meta['taken']):,} moves, against mcts:{rollouts}: won of {count}"
    return [line(what, tally.wins, f">= {int(0.8 * count)}", tally.wins >= 0.8 * count, began)]


def self_play(envs: int = 64, steps: int = 20_000, simulations: int = 32, tries: int = 3) -> list[dict[str, Any]]:
    """Moves of self-play for a second of one core, beside the loop of Pgx's example, taking turns; nothing learns."""
    from benchmarks.peers import pgx_alphazero

    began, name, hidden, ours, theirs = time.perf_counter(), "connect_four", (256, 256), [], []
    game = find(f"pgx:{name}")
    waiting = bm.Replay(100_000, batch=256, n=42, start=10 * steps)
    zero = bm.AlphaZero(rules=game, experience=waiting, search="gumbel", simulations=simulations, hidden=hidden)
    env, rounds = bm.WithSimulator(game), jnp.int32(steps // envs)
    run = jax.jit(ingraph.start, static_argnums=3)(zero, env, jax.random.key(0), envs)
    layers = pgx_alphazero.network(jax.random.key(1), game.spec.obs.obs.shape[0], hidden, game.spec.action.n)
    play = pgx_alphazero.self_play(name, envs, simulations, steps // envs)
    for turn in range(tries + 1):  # the first of each compiles
        start = time.process_time()
        run = jax.block_until_ready(ingraph.advance(zero, env, run, rounds, jnp.int32(10**9))[0])
        middle = time.process_time()
        jax.block_until_ready(play(layers, jax.random.key(turn)))
        for seconds, speeds in ((middle - start, ours), (time.process_time() - middle, theirs)):
            speeds.append(envs * (steps // envs) / seconds)
    mine, peer = (round(max(speeds[1:])) for speeds in (ours, theirs))
    what = f"{name}, {simulations} simulations, {envs} games: moves of self-play in a core's second, Pgx's example"
    return [
        line(what, peer, "", None, began),
        line(f"{what.partition(', Pgx')[0]}, AlphaZero here", mine, f">= {peer}", mine >= peer, began),
    ]


ROWS = {"controls": controls, "mcts": tree_search, "alphazero": alphazero, "muzero": muzero, "cart-pole": cart_pole}
LONG = {"connect-four": connect_four, "self-play": self_play}  # only when they are asked for
COLUMNS = {"what": "what", "figure": "figure", "target": "target", "met": "met", "seconds": "seconds"}


def main(names: list[str]) -> None:
    """All rows, or those that are named."""
    from bellmax.report import write_result

    known = ROWS | LONG
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"there is no row {unknown[0]!r}: choose from {', '.join(known)}.")
    table = [row for name in names or ROWS for row in known[name]()]
    notes = [" ".join(part.split()) for part in (__doc__ or "").split("\n\n")[1:]]
    if not names:
        write_result(RESULTS, "Games and search", table, COLUMNS, notes, seeds=(0,), command=COMMAND)


if __name__ == "__main__":
    main(sys.argv[1:])
