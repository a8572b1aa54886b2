"""Everybody against everybody, colours swapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bellmax.compilation import use_cache
from bellmax.contest.games import Tally, games
from bellmax.contest.players import player
from bellmax.contest.rating import elo
from bellmax.core import Env
from bellmax.envs.names import find


@dataclass(frozen=True)
class Arena:
    """How a tournament went."""

    names: tuple[str, ...]
    tallies: dict[tuple[str, str], Tally]  # (who began, who answered): how the former fared

    def against(self, one: str, other: str) -> Tally:
        """How `one` fared against `other`, both colours together."""
        return self.tallies[one, other] + self.tallies[other, one].turned()

    @property
    def elo(self) -> dict[str, float]:
        """Ratings, the first player's being 0; a draw is added between any two, so that all are finite."""
        points = np.zeros((len(self.names), len(self.names)))
        for (one, other), tally in self.tallies.items():
            i, j = self.names.index(one), self.names.index(other)
            points[i, j] += tally.wins + 0.5 * tally.draws
            points[j, i] += tally.losses + 0.5 * tally.draws
        return dict(zip(self.names, elo(points).tolist()))

    def rows(self) -> list[dict[str, Any]]:
        """A row for every two players and who began."""
        return [
            {"first": one, "second": other, "wins": tally.wins, "draws": tally.draws, "losses": tally.losses}
            for (one, other), tally in self.tallies.items()
        ]

    def __str__(self) -> str:
        lines = [
            f"{one} begins against {other}: {tally.wins} won, {tally.draws} drawn, {tally.losses} lost"
            for (one, other), tally in self.tallies.items()
        ]
        return "\n".join([*lines, *(f"{name}: Elo {rating:+.0f}" for name, rating in self.elo.items())])


def arena(players: Sequence[Any], env: Any = "pgx:tic_tac_toe", *, games_each: int = 100, seed: int = 0) -> Arena:
    """Let players meet, each two `games_each` times, either side beginning half of them -> how it went.

    players     runs, run folders, `Player`s, or "random", "minimax" (small games), "mcts", "mcts:SIMULATIONS"
    env         a game for two in the graph
    games_each  an even number

    Runs play greedily: they search without noise, and take the best move. Raises ValueError before any game is played.
    """
    use_cache()
    rules = find(env)
    if not isinstance(rules, Env):
        raise ValueError(f"env = {env!r}: the arena needs a game in the graph, such as pgx:tic_tac_toe.")
    if isinstance(games_each, bool) or not isinstance(games_each, int) or games_each < 2 or games_each % 2:
        raise ValueError(f"games_each = {games_each!r}: give an even number, so that either side begins half of them.")
    who = [player(one, rules) for one in players]
    names = tuple(one.name for one in who)
    if len(who) < 2 or len(set(names)) < len(names):
        raise ValueError(f"players = {list(names)}: give at least two, no name twice.")
    tallies = {}
    for i, one in enumerate(who):
        for j, other in enumerate(who):
            if i != j:
                tallies[one.name, other.name] = games(one, other, rules, games_each // 2, seed)[0]
    return Arena(names, tallies)
