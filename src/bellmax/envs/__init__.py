"""Environments: worlds in the graph, one a file; `adaptors` bring in those of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bellmax.core import Env
from bellmax.envs.cart_pole import CartPole
from bellmax.envs.cliff_walking import CliffWalking
from bellmax.envs.frozen_lake import FrozenLake
from bellmax.envs.grid_world import GridWorld
from bellmax.envs.random_walk import RandomWalk


def frozen_lake_8x8(**fields: Any) -> FrozenLake:
    """The large FrozenLake."""
    return FrozenLake(**{"map_name": "8x8", **fields})


WORLDS: dict[str, Callable[..., Env]] = {
    "GridWorld": GridWorld,
    "FrozenLake": FrozenLake,
    "FrozenLake8x8": frozen_lake_8x8,
    "CliffWalking": CliffWalking,
    "RandomWalk": RandomWalk,
    "CartPole": CartPole,
}

__all__ = ["WORLDS", "CartPole", "CliffWalking", "FrozenLake", "GridWorld", "RandomWalk"]
