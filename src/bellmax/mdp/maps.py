"""Models of grids: a map drawn in letters, and bellmax's own in-graph worlds."""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.core import Env
from bellmax.envs import cliff_walking, grid
from bellmax.envs.cliff_walking import CliffWalking
from bellmax.envs.frozen_lake import FrozenLake
from bellmax.envs.grid_world import GridWorld
from bellmax.envs.random_walk import RandomWalk
from bellmax.mdp.model import DIRECTIONS, MDP
from bellmax.mdp.problems.random_walk import random_walk


def from_map(
    layout: grid.Layout,
    gamma: float = 0.99,
    *,
    slip: float = 0.2,
    step_reward: float = 0.0,
    goal_reward: float = 1.0,
    trap_reward: float = -1.0,
    dtype: Any = np.float64,
) -> MDP:
    """A model from a grid drawn as text, such as `from_map(("S..", ".#T", "..G"), gamma=0.95)`.

    S is a start (one of several; without any an episode starts on any floor cell), G a goal and T or H a trap (both are
    absorbing), # a wall, . or F floor. Actions: 0 left, 1 down, 2 right, 3 up; with probability `slip` the agent goes
    to one of the two perpendicular sides instead. The reward is that of the cell entered; a step against a wall or the
    edge enters the cell it came from. States are the cells, row by row; walls are absorbing states that nothing leads
    to. Raises ValueError.
    """
    grid.check("from_map", layout, "S.#TGFH")
    return _drawn(layout, gamma, slip, (step_reward, goal_reward, trap_reward), grid.find(layout, "S"), dtype)


def from_env(env: Env, gamma: float = 0.99, *, dtype: Any = np.float64) -> MDP:
    """The model of bellmax's own FrozenLake, GridWorld, CliffWalking, RandomWalk or World, without its time limit.

    States, actions and rewards are the environment's. Raises ValueError for other environments.
    """
    model = getattr(env, "mdp", None)
    if isinstance(model, MDP):
        return model.astype(dtype).replace(gamma=gamma)
    if isinstance(env, FrozenLake):
        slip = 1 - float(env.success_rate) if env.is_slippery else 0.0
        rewards = env.step_reward, env.goal_reward, env.hole_reward
        return _drawn(env._map, gamma, slip, rewards, grid.find(env._map, "S"), dtype)
    if isinstance(env, GridWorld):
        rewards = env.step_reward, env.goal_reward, env.trap_reward
        return _drawn(env._map, gamma, float(env.slip), rewards, env._starts, dtype)
    if isinstance(env, CliffWalking):
        over, start = grid.letters(cliff_walking.MAP) == "G", np.array([cliff_walking.START])
        slip = 2 / 3 if env.is_slippery else 0.0
        names, shape = ("up", "right", "down", "left"), (len(cliff_walking.MAP), len(cliff_walking.MAP[0]))
        return _on_grid(cliff_walking._moves(), over, gamma, slip, (-1, -1, -100), start, shape, names, dtype)
    if isinstance(env, RandomWalk):
        ends = float(env.left_reward), float(env.right_reward)
        return random_walk(env.states, *ends, gamma=gamma, right=float(env.right), dtype=dtype)
    raise ValueError(
        f"{type(env).__name__} does not know its own transitions: FrozenLake, GridWorld, CliffWalking and RandomWalk "
        "do; write others down with from_function or from_arrays."
    )


def _drawn(
    layout: grid.Layout, gamma: float, slip: float, rewards: tuple[Any, Any, Any], starts: np.ndarray, dtype: Any
) -> MDP:
    over = np.isin(grid.letters(layout), ["G", *grid.TRAPS, "#"])
    shape = (len(layout), len(layout[0]))
    return _on_grid(grid.moves(layout), over, gamma, slip, rewards, starts, shape, DIRECTIONS, dtype)


def _on_grid(
    table: grid.Moves,
    over: np.ndarray,
    gamma: float,
    slip: float,
    rewards: tuple[Any, Any, Any],
    starts: np.ndarray,
    shape: tuple[int, int],
    names: tuple[str, ...],
    dtype: Any,
) -> MDP:
    """The model of a table of moves. `over`: bool [cells], the absorbing ones; rewards: of a step, the goal, a trap."""
    if not 0 <= slip <= 1:
        raise ValueError(f"slip = {slip}: it must be in [0, 1].")
    turns = [(turn, share) for turn, share in ((0, 1 - slip), (-1, slip / 2), (1, slip / 2)) if share > 0]
    cells, directions = len(over), len(names)
    towards = (np.arange(directions)[:, None] + [turn for turn, _ in turns]) % directions  # [actions, outcomes]
    successor = np.where(over, np.arange(cells), table.cell.T[towards])
    pays = np.zeros(4)
    pays[[grid.STEP, grid.GOAL, grid.TRAP]] = [float(reward) for reward in rewards]
    reward = np.where(over, 0, pays[table.kind.T[towards]])
    shares, first = np.array([share for _, share in turns]), np.arange(len(turns)) == 0
    probability = np.broadcast_to(np.where(over, first[:, None], shares[:, None]), successor.shape)
    start = np.bincount(starts, minlength=cells) / len(starts) if len(starts) else None
    return MDP(
        successor.astype(np.int32),
        probability.astype(dtype),
        reward.astype(dtype),
        gamma,
        over,
        None,
        None if start is None else start.astype(dtype),
        shape,
        names,
    )
