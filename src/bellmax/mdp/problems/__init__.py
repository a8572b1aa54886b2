"""Known problems, one a file: those of the book's chapters 3 and 4, and random ones for tests."""

from __future__ import annotations

from collections.abc import Callable

from bellmax.mdp.model import MDP
from bellmax.mdp.problems.car_rental import car_rental
from bellmax.mdp.problems.chain import chain
from bellmax.mdp.problems.gambler import gambler
from bellmax.mdp.problems.leaping_gridworld import leaping_gridworld
from bellmax.mdp.problems.random_mdp import random_mdp
from bellmax.mdp.problems.random_walk import random_walk
from bellmax.mdp.problems.small_gridworld import small_gridworld

PROBLEMS: dict[str, Callable[..., MDP]] = {
    "car-rental": car_rental,
    "chain": chain,
    "gambler": gambler,
    "leaping-gridworld": leaping_gridworld,
    "random": random_mdp,
    "random-walk": random_walk,
    "small-gridworld": small_gridworld,
}

__all__ = [
    "PROBLEMS",
    "car_rental",
    "chain",
    "gambler",
    "leaping_gridworld",
    "random_mdp",
    "random_walk",
    "small_gridworld",
]
