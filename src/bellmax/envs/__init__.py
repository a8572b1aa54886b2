"""Environments: worlds in the graph, one a file; `adaptors` bring in those of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bellmax.core import Env
from bellmax.envs.acrobot import Acrobot
from bellmax.envs.bandit_adversarial import AdversarialBandit
from bellmax.envs.bandit_contextual import ContextualBandit
from bellmax.envs.bandits import BernoulliBandit, DriftingBandit, GaussianBandit
from bellmax.envs.bit_flipping import BitFlipping
from bellmax.envs.blackjack import Blackjack
from bellmax.envs.cart_pole import CartPole
from bellmax.envs.catch import Catch
from bellmax.envs.cliff_walking import CliffWalking
from bellmax.envs.deep_sea import DeepSea
from bellmax.envs.frozen_lake import FrozenLake
from bellmax.envs.grid_world import GridWorld
from bellmax.envs.key_to_door import KeyToDoor
from bellmax.envs.maximisation_bias import MaximisationBias
from bellmax.envs.maze import blocking_maze, dyna_maze, shortcut_maze
from bellmax.envs.mountain_car import MountainCar
from bellmax.envs.pendulum import Pendulum
from bellmax.envs.pixel_cart_pole import PixelCartPole
from bellmax.envs.random_walk import RandomWalk
from bellmax.envs.short_corridor import ShortCorridor
from bellmax.envs.windy_grid_world import WindyGridWorld


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
    "MountainCar": MountainCar,
    "Pendulum": Pendulum,
    "PixelCartPole": PixelCartPole,
    "Acrobot": Acrobot,
    "Catch": Catch,
    "DeepSea": DeepSea,
    "BitFlipping": BitFlipping,
    "KeyToDoor": KeyToDoor,
    "Blackjack": Blackjack,
    "WindyGridWorld": WindyGridWorld,
    "DynaMaze": dyna_maze,
    "BlockingMaze": blocking_maze,
    "ShortcutMaze": shortcut_maze,
    "MaximisationBias": MaximisationBias,
    "ShortCorridor": ShortCorridor,
    "GaussianBandit": GaussianBandit,
    "BernoulliBandit": BernoulliBandit,
    "DriftingBandit": DriftingBandit,
    "ContextualBandit": ContextualBandit,
    "AdversarialBandit": AdversarialBandit,
}

__all__ = [
    "WORLDS",
    "Acrobot",
    "AdversarialBandit",
    "BernoulliBandit",
    "BitFlipping",
    "Blackjack",
    "CartPole",
    "Catch",
    "CliffWalking",
    "ContextualBandit",
    "DeepSea",
    "DriftingBandit",
    "FrozenLake",
    "GaussianBandit",
    "GridWorld",
    "KeyToDoor",
    "MaximisationBias",
    "MountainCar",
    "Pendulum",
    "PixelCartPole",
    "RandomWalk",
    "ShortCorridor",
    "WindyGridWorld",
]
