"""Games between two players, many at once."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.contest.players import Player
from bellmax.core import Env
from bellmax.envs.with_simulator import WithSimulator


class Tally(NamedTuple):
    """How games went, for who began them."""

    wins: int
    draws: int
    losses: int

    @property
    def games(self) -> int:
        """How many there were."""
        return self.wins + self.draws + self.losses

    @property
    def score(self) -> float:
        """Points a game: 1 for a win, a half for a draw."""
        return (self.wins + 0.5 * self.draws) / self.games

    def turned(self) -> Tally:
        """The same games for the other side."""
        return Tally(self.losses, self.draws, self.wins)

    def __add__(self, other: Any) -> Tally:
        return Tally(*(one + more for one, more in zip(self, other)))


def games(
    first: Player, second: Player, rules: Env, count: int, seed: int = 0, most_moves: int = 1_000
) -> tuple[Tally, list[np.ndarray]]:
    """Play `count` games that `first` begins -> how they went for it, and the moves of every ply, [game] each.

    A game longer than `most_moves` counts as a draw; moves behind a game's end are -1. ValueError where the sides do
    not take turns.
    """
    env, key = WithSimulator(rules), jax.random.key(seed)
    keys = jax.random.split(key, (3, count))
    state, obs = _reset(env, keys[0])
    memories = [player.begin(obs, keys[1 + side]) for side, player in enumerate((first, second))]
    over, result, moves = np.zeros(count, bool), np.zeros(count), []
    for ply in range(most_moves):
        side = ply % 2
        act_key, step_key = jax.random.split(jax.random.fold_in(key, ply + 1))
        action, memories[side] = (first, second)[side](obs, jax.random.split(act_key, count), memories[side])
        state, outcome = _step(env, state, action, step_key)
        memories[side] = (first, second)[side].hear(memories[side], outcome)
        reward, discount, last = (np.asarray(x) for x in (outcome.reward, outcome.discount, outcome.last))
        if (discount[~over] > 0).any():
            raise ValueError(f"{env.name}: the same side moves twice; the arena is for two who take turns.")
        result += np.where(over, 0, reward * (1 if side == 0 else -1))
        moves.append(np.where(over, -1, np.asarray(action)))
        over, obs = over | last, outcome.obs
        if over.all():
            break
    return Tally(int((result > 0).sum()), int((result == 0).sum()), int((result < 0).sum())), moves


@functools.partial(jax.jit, static_argnums=0)
def _reset(env: Env, keys: Array) -> tuple[Any, Any]:
    return jax.vmap(env.reset)(keys)


@functools.partial(jax.jit, static_argnums=0)
def _step(env: Env, state: Any, action: Array, key: Array) -> tuple[Any, Any]:
    keys = jax.random.split(key, len(action))
    return jax.vmap(env.step)(state, jnp.asarray(action, jnp.int32), keys)
