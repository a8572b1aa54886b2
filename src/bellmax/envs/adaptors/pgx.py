"""Pgx's board games for two (https://github.com/sotetsuk/pgx, 2.6 and later), as in-graph worlds."""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.envs import board
from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.adaptors.settled import settled
from bellmax.spaces import Box, Discrete, Masked, MultiBinary

# Two players who take turns, nothing hidden, nothing left to chance, and what one wins the other loses.
BOARDS = (
    "tic_tac_toe",
    "connect_four",
    "othello",
    "hex",
    "go_9x9",
    "go_19x19",
)  # their first planes: mine, the other's
GAMES = (*BOARDS, "animal_shogi", "gardner_chess", "chess", "shogi")


class Sizes(NamedTuple):
    """What a game shows and accepts. Pgx finds it out by playing, so it is asked for once, outside of `jit`."""

    planes: tuple[int, ...]  # height, width, plane
    moves: int


class Pgx(Env):
    """A game by its name: `Pgx("connect_four")`. One player, who changes sides with every move.

    Koyama et al., Pgx, 2023 (https://arxiv.org/abs/2303.17503). The observation is the board as the side to move sees
    it, 0 and 1, with the mask of its legal moves. The reward is the mover's: 1 for a win, -1 for a loss. `discount` is
    -1, because what is good for the side that moves next is bad for the one that moved, and 0 at the end. So an
    algorithm that knows nothing of games plays against itself, and its value is that of the side to move.
    """

    name: str = "tic_tac_toe"
    planes: bool = False  # show [height, width, plane], for convolutions, instead of a row of numbers

    def __post_init__(self) -> None:
        Env.__post_init__(self)
        _game(self.name)

    @property
    def spec(self) -> Spec:
        sizes = _sizes(self.name)
        shape = sizes.planes if self.planes else (math.prod(sizes.planes),)
        return Spec(Masked(Box(shape, 0.0, 1.0), MultiBinary(sizes.moves)), Discrete(sizes.moves))

    def reset(self, key: Array) -> tuple[Any, Masked]:
        now = settled(_game(self.name).init(key))
        return now, self._seen(now)

    def step(self, env_state: Any, action: Array, key: Array) -> tuple[Any, Outcome]:
        mover = env_state.current_player
        now = settled(_game(self.name).step(env_state, action, key))
        discount = jnp.where(now.terminated, 0.0, jnp.where(now.current_player == mover, 1.0, -1.0))
        reward = jnp.asarray(now.rewards[mover], jnp.float32)
        return now, Outcome(self._seen(now), reward, discount, now.terminated | now.truncated)

    @property
    def text(self) -> Callable[[Any], str] | None:
        """The board in letters, X having moved first; None for games whose pieces are of many kinds."""
        return (lambda env_state: board.text(_stones(env_state))) if self.name in BOARDS else None

    @property
    def render(self) -> Callable[[Any], np.ndarray] | None:
        """The board as a picture; None as for `text`."""
        return (lambda env_state: board.picture(_stones(env_state))) if self.name in BOARDS else None

    @property
    def frames_per_second(self) -> int:
        return 2

    def _seen(self, now: Any) -> Masked:
        obs = now.observation.astype(jnp.float32)
        return Masked(obs if self.planes else obs.ravel(), now.legal_action_mask)


def _stones(env_state: Any) -> np.ndarray:
    """[height, width]: 1 where the side that began has a stone, -1 where the other has, else 0."""
    mine, other = np.moveaxis(np.asarray(env_state.observation, int)[..., :2], -1, 0)
    return (mine - other) * (1 if int(env_state._step_count) % 2 == 0 else -1)


def names() -> list[str]:
    """The names that `Pgx` knows."""
    _check()
    return list(GAMES)


def named(name: str, options: dict[str, Any]) -> Pgx:
    """The game of a name."""
    return Pgx(name, **options)


def _check() -> None:
    if importlib.util.find_spec("pgx") is None:
        raise MissingDependency('Pgx games need pgx, which is not installed: pip install "bellmax[games]"')


@functools.lru_cache(maxsize=16)
def _game(name: str) -> Any:
    """Pgx's object, made once and never as part of a compiled function."""
    _check()
    if name not in GAMES:
        raise ValueError(f"Pgx.name = {name!r}: there is no such game for two; choose from {', '.join(GAMES)}.")
    with jax.ensure_compile_time_eval():
        import pgx

        return pgx.make(name)


@functools.lru_cache(maxsize=16)
def _sizes(name: str) -> Sizes:
    with jax.ensure_compile_time_eval():
        game = _game(name)
        return Sizes(tuple(game.observation_shape), int(game.num_actions))
