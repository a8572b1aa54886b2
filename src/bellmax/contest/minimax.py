"""Small games for two solved exactly: every position that can come up, its value, and its best moves.

Von Neumann, 1928 (https://doi.org/10.1007/BF01448847): the value of a position for the side to move is

    v(s) = max_a [ r(s,a) + discount(s,a) v(s') ]

where the discount is -1 because the other side moves next, and 0 at the end. Positions that look alike are one: what
the side to move sees must say all that matters. They are found ply by ply from the start, and valued backwards.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env
from bellmax.maths.tables import legal_of

CHUNK = 512  # positions whose moves are tried in one call
MOST = 50_000


class Solved(NamedTuple):
    """All positions of a game in which somebody is to move, those of one ply behind those of the last."""

    value: np.ndarray  # [positions], for the side to move
    q: np.ndarray  # [positions, moves]; -inf where illegal
    legal: np.ndarray  # bool [positions, moves]
    child: np.ndarray  # [positions, moves], number of the position behind a move; -1 where the game is over
    reward: np.ndarray  # [positions, moves], the mover's
    plies: tuple[slice, ...]
    simulators: Any  # the environment's states, [positions, ...]
    obs: Any  # [positions, ...]
    words: Array  # uint32 [numbers seen], odd: what a position is looked up by
    keys: Array  # uint32 [positions], sorted
    order: Array  # [positions], the position that each of `keys` belongs to

    @property
    def best(self) -> np.ndarray:
        """The moves that keep a position's value, bool [positions, moves]."""
        return self.legal & (self.q >= self.value[:, None] - 1e-6)

    def find(self, obs: Any) -> Array:
        """The number of the position that is seen. For one; anything at all for a position that cannot come up."""
        return self.order[jnp.searchsorted(self.keys, _key(_seen(obs), self.words))]


class _Ply(NamedTuple):
    """The positions of one ply."""

    rows: np.ndarray  # uint8, what is seen of each
    legal: np.ndarray
    child: np.ndarray  # within the next ply
    reward: np.ndarray
    discount: np.ndarray
    states: Any
    obs: Any


def solve_game(rules: Env, most: int = MOST) -> Solved:
    """Solve a game that starts always alike and is left nothing to chance. ValueError beyond `most` positions."""
    start, plies = jax.jit(rules.reset)(jax.random.key(0)), []  # type: tuple[Any, Any], list[_Ply]
    states, obs = jax.tree.map(lambda x: np.asarray(x)[None], start)
    while len(jax.tree.leaves(obs)[0]):
        if sum(len(ply.rows) for ply in plies) + len(jax.tree.leaves(obs)[0]) > most:
            raise ValueError(
                f"{getattr(rules, 'name', type(rules).__name__)} has more than {most:,} positions: minimax plays only "
                'small games, such as pgx:tic_tac_toe; let "mcts" play instead.'
            )
        ply, states, obs = _ply(rules, states, obs)
        plies.append(ply)
    return _valued(plies)


def _ply(rules: Env, states: Any, obs: Any) -> tuple[_Ply, Any, Any]:
    """Try every move in every position of a ply -> the ply, and the states and observations of the next."""
    legal, parts = _legal(rules, obs), []
    count, moves = legal.shape
    for start in range(0, count, CHUNK):
        chosen = np.minimum(np.arange(start, start + CHUNK), count - 1)  # always so many: compiled once
        parts.append(jax.device_get(_tried(rules, jax.tree.map(lambda x, i=chosen: x[i], states))))
    after, outcome = jax.tree.map(lambda *x: np.concatenate(x)[:count].reshape(-1, *x[0].shape[2:]), *parts)
    goes_on = np.flatnonzero(legal.ravel() & ~outcome.last)
    _, first, inverse = np.unique(_rows(outcome.obs)[goes_on], axis=0, return_index=True, return_inverse=True)
    child = np.full(count * moves, -1)
    child[goes_on] = inverse.ravel()
    table = [np.asarray(x).reshape(count, moves) for x in (child, outcome.reward, outcome.discount)]
    after, seen = jax.tree.map(lambda x: x[goes_on[first]], (after, outcome.obs))
    return _Ply(_rows(obs), legal, table[0], table[1], table[2], states, obs), after, seen


@functools.partial(jax.jit, static_argnums=0)
def _tried(rules: Env, states: Any) -> tuple[Any, Any]:
    """All moves in all positions -> states, outcomes: [positions, moves, ...]."""
    each = jax.vmap(rules.step, (None, 0, None))
    moves = jnp.arange(rules.spec.action.n)
    return jax.vmap(each, (0, None, None))(states, moves, jax.random.key(0))


def _valued(plies: list[_Ply]) -> Solved:
    """Go back from the last ply, and number the positions of all."""
    ends = np.cumsum([0, *(len(ply.rows) for ply in plies)])
    value, qs = np.zeros(0), []
    for ply in reversed(plies):
        behind = np.where(ply.child >= 0, np.append(value, 0.0)[ply.child], 0.0)
        qs.append(np.where(ply.legal, ply.reward + ply.discount * behind, -np.inf))
        value = qs[-1].max(1)
    q = np.concatenate(qs[::-1])
    child = [np.where(ply.child >= 0, ply.child + end, -1) for ply, end in zip(plies, ends[1:])]
    legal, reward = (np.concatenate([getattr(ply, name) for ply in plies]) for name in ("legal", "reward"))
    slices = tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(ends))
    words, keys = _keyed(np.concatenate([ply.rows for ply in plies]))
    order = np.argsort(keys, kind="stable")
    numbers = jnp.asarray(words), jnp.asarray(keys[order]), jnp.asarray(order)
    states, obs = jax.tree.map(lambda *x: np.concatenate(x), *((ply.states, ply.obs) for ply in plies))
    return Solved(q.max(1), q, legal, np.concatenate(child), reward, slices, states, obs, *numbers)


def _keyed(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Words with which no two positions have the same key, and the keys."""
    different = len(np.unique(rows, axis=0))
    for seed in range(1000):
        words = np.asarray(np.random.default_rng(seed).integers(0, 2**31, rows.shape[1]) * 2 + 1, np.uint32)
        keys = np.asarray(_key(jnp.asarray(rows), jnp.asarray(words)))
        if len(np.unique(keys)) == different:
            return words, keys
    raise AssertionError("fewer positions than MOST always find their words")


def _key(seen: Array, words: Array) -> Array:
    return (seen.astype(jnp.uint32) * words).sum(-1, dtype=jnp.uint32)


def _seen(obs: Any) -> Array:
    """What one observation shows, uint8 [numbers]."""
    return jnp.concatenate([jnp.ravel(x).astype(jnp.uint8) for x in jax.tree.leaves(obs)])


def _rows(obs: Any) -> np.ndarray:
    """What many observations show, uint8 [positions, numbers]."""
    leaves = [np.asarray(x, np.uint8) for x in jax.tree.leaves(obs)]
    return np.concatenate([x.reshape(len(x), -1) for x in leaves], axis=1)


def _legal(rules: Env, obs: Any) -> np.ndarray:
    legal, count = legal_of(obs), len(jax.tree.leaves(obs)[0])
    return np.ones((count, rules.spec.action.n), bool) if legal is None else np.asarray(legal)


def outcome(game: Solved, first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """The probabilities that who begins wins, draws and loses, exactly.

    first, second: the probabilities of the moves, [positions, moves], of either side. For games of 1, 0 and -1.
    """
    reached, ended = np.zeros(len(game.value)), {1: 0.0, 0: 0.0, -1: 0.0}
    reached[0] = 1.0
    for number, ply in enumerate(game.plies):
        mine = number % 2 == 0
        taken = reached[ply, None] * (first if mine else second)[ply]
        over = game.child[ply] < 0
        for reward in ended:
            ended[reward] += float(taken[over & (game.reward[ply] == (reward if mine else -reward))].sum())
        np.add.at(reached, game.child[ply][~over], taken[~over])
    return ended[1], ended[0], ended[-1]


def evenly_over(moves: np.ndarray) -> np.ndarray:
    """The same probability for each of the moves [positions, moves] that are True."""
    return moves / moves.sum(1, keepdims=True)
