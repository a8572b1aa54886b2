"""`bellmax play GAME [RUN]`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from bellmax.cli.find_run import find_run
from bellmax.cli.flags import parse

SHOWN = 20  # legal moves that a question lists


@dataclass(frozen=True)
class Play:
    """Play a game yourself, against a run, plain tree search, perfect play or chance. Ctrl-C quits."""

    game: Annotated[str, tyro.conf.Positional]  # tic_tac_toe, connect_four, ...
    opponent: Annotated[str, tyro.conf.Positional] = "mcts"  # a run, latest, mcts, mcts:SIMULATIONS, minimax or random
    side: Literal["first", "second"] = "first"  # whether you begin
    seed: int = 0  # of what the opponent draws


def main(words: list[str]) -> None:
    """Read moves, check them, answer them, and say who won."""
    asked = parse(Play, words, "play")
    from bellmax.compilation import use_cache
    from bellmax.contest.players import player
    from bellmax.envs.names import find

    use_cache()
    rules: Any = find(asked.game if ":" in asked.game else f"pgx:{asked.game}")
    if getattr(rules, "text", None) is None:
        raise ValueError(
            f"game = {asked.game!r}: it cannot be shown in letters; choose a board game such as tic_tac_toe."
        )
    built_in = asked.opponent.partition(":")[0] in ("random", "minimax", "mcts")
    opponent = player(asked.opponent if built_in else find_run(asked.opponent), rules)
    print(f"You are {'X and begin' if asked.side == 'first' else 'O'}; {opponent.name} is the other.")
    try:
        print(played(rules, opponent, asked.side == "first", asked.seed))
    except (KeyboardInterrupt, EOFError):
        print("\nYou stopped.")


def played(rules: Any, opponent: Any, begins: bool, seed: int) -> str:
    """One game, to its end -> how it went for the person."""
    import jax

    from bellmax.envs.with_simulator import WithSimulator

    env, key = WithSimulator(rules), jax.random.key(seed)
    step = jax.jit(env.step)
    state, obs = jax.jit(env.reset)(key)
    one = lambda tree: jax.tree.map(lambda x: x[None], tree)
    memory, mine = opponent.begin(one(obs), key[None]), begins
    print(rules.text(state))
    while True:
        key, now = jax.random.split(key)
        if mine:
            move = asked_for(obs.obs.legal)
        else:
            action, memory = opponent(one(obs), now[None], memory)
            move = int(action[0])
            print(f"{opponent.name} plays {move}")
        state, outcome = step(state, move, now)
        memory = memory if mine else opponent.hear(memory, one(outcome))
        obs, reward, _, last = outcome
        print(rules.text(state))
        if last:
            won = float(reward) * (1 if mine else -1)
            return "You win." if won > 0 else "You lose." if won < 0 else "A draw."
        mine = not mine


def asked_for(legal: Any) -> int:
    """The move that somebody types, asked for until it is a legal one."""
    import numpy as np

    open_moves = np.flatnonzero(np.asarray(legal)).tolist()
    said = ", ".join(map(str, open_moves))
    while True:
        print(
            f"your move ({said if len(open_moves) <= SHOWN else f'{open_moves[0]} to {open_moves[-1]}'}): ",
            end="",
            flush=True,
        )
        text = sys.stdin.readline()
        if not text:
            raise EOFError
        if text.strip().isdigit() and int(text) in open_moves:
            return int(text)
        print(f"{text.strip()!r} is no legal move: choose from {said}.")
