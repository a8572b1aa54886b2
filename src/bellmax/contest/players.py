"""Who plays: at random, exactly, by search alone, or as a run has learned."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.algorithms.planning.mcts import MCTS
from bellmax.contest.minimax import evenly_over, solve_game
from bellmax.core import Env, Outcome
from bellmax.envs.with_simulator import WithSimulator
from bellmax.loading import load
from bellmax.maths.chance import choose
from bellmax.maths.exploration import evenly
from bellmax.maths.tables import legal_of
from bellmax.run import Run
from bellmax.runs import RunFolder, RunFolderError
from bellmax.spaces import Simulated

Choose = Callable[[Any, Simulated, Array, Any], tuple[Array, Any]]
BUILT_IN = ("random", "minimax", "mcts", "mcts:SIMULATIONS")


class Player:
    """A name, and what it does in many games at once."""

    def __init__(
        self,
        name: str,
        choose: Choose,
        state: Any = None,
        begin: Callable[..., Any] | None = None,
        hear: Callable[..., Any] | None = None,
    ):
        """choose: state, obs, key, memory -> action, memory; begin: state, obs, key -> memory; hear: state, memory,
        outcome of its own move -> memory; all for one game."""
        self.name, self._state = name, state
        self._hear = None if hear is None else jax.jit(jax.vmap(hear, (None, 0, 0)))
        self._choose = jax.jit(jax.vmap(choose, (None, 0, 0, 0)))
        self._begin = jax.jit(jax.vmap(begin or (lambda state, obs, key: None), (None, 0, 0)))

    def begin(self, obs: Simulated, keys: Array) -> Any:
        """The memories to start games with; every leaf of `obs` is [game, ...]."""
        return self._begin(self._state, obs, keys)

    def __call__(self, obs: Simulated, keys: Array, memory: Any) -> tuple[Array, Any]:
        """The moves in all games -> int32 [game], memories."""
        return self._choose(self._state, obs, keys, memory)

    def hear(self, memory: Any, outcome: Outcome) -> Any:
        """The memories with what came of its moves; every leaf of `outcome` is [game, ...]."""
        return memory if self._hear is None else self._hear(self._state, memory, outcome)

    def __repr__(self) -> str:
        return f"Player({self.name!r})"


def random_player(rules: Env) -> Player:
    """Every legal move alike."""
    moves = rules.spec.action.n
    return Player(
        "random", lambda _, obs, key, memory: (choose(evenly(jnp.zeros(moves), legal_of(obs.obs)), key), memory)
    )


@functools.lru_cache(maxsize=4)
def minimax_player(rules: Env) -> Player:
    """Every best move alike, by the exact solution. ValueError for a game that is too large to have one."""
    game = solve_game(rules)
    moves = jnp.asarray(evenly_over(game.best), jnp.float32)
    return Player("minimax", lambda table, obs, key, memory: (choose(table[game.find(obs.obs)], key), memory), moves)


def mcts_player(rules: Env, simulations: int = 1_000) -> Player:
    """Monte Carlo tree search, which has learned nothing; it knows what it has proven."""
    search = MCTS(rules, simulations, prove=True)
    return Player(f"mcts:{simulations}", lambda _, obs, key, memory: (search.choose(obs, key), memory))


def run_player(run: Run, name: str | None = None, seed: int = 0, greedy: bool = True) -> Player:
    """As one seed (an index) of a run has learned to play, whether it plans or not."""
    algorithm, plans = run.algorithm, isinstance(run.plan.env, WithSimulator)
    decide = algorithm.greedy if greedy else algorithm.act

    def seen(obs: Simulated) -> Any:
        return obs if plans else obs.obs

    def move(state: Any, obs: Simulated, key: Array, memory: Any) -> tuple[Array, Any]:
        decision = decide(state, seen(obs), key, memory)
        return decision.action, decision.memory

    begin = lambda state, obs, key: algorithm.begin(state, seen(obs), key)
    hear = lambda state, memory, outcome: algorithm.hear(state, memory, outcome._replace(obs=seen(outcome.obs)))
    name = name or (run.folder.path.name if run.folder else run.plan.algorithm_name)
    return Player(name, move, run.state_of(seed), begin, hear)


def checkpoints(path: str | Path, seed: int = 0) -> list[Player]:
    """A player for every checkpoint that a run's folder keeps, oldest first: the run as it was then."""
    folder = RunFolder.open(path)
    files = folder.checkpoints.list()
    return [run_player(load(path, checkpoint=file), f"{folder.path.name}@{file.stem}", seed) for file in files]


def player(who: Any, rules: Env) -> Player:
    """The player that is meant: a `Player`, a `Run`, a run's folder, "random", "minimax", "mcts" or "mcts:50"."""
    if isinstance(who, Player):
        return who
    if isinstance(who, Run):
        return run_player(who)
    name, _, count = str(who).partition(":")
    if name in ("random", "minimax") and not count:
        return random_player(rules) if name == "random" else minimax_player(rules)
    if name == "mcts" and (count or "1000").isdigit() and int(count or 1000) > 0:
        return mcts_player(rules, int(count or 1000))
    try:
        run = load(who)
    except RunFolderError as error:
        raise ValueError(f"player {str(who)!r}: give {', '.join(BUILT_IN)}, a run, or a run's folder.") from error
    return run_player(run)
