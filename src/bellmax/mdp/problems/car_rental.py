"""Jack's car rental: move cars between two places overnight so that neither runs out of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bellmax.mdp.model import MDP


def car_rental(
    cars: int = 20,
    most_moved: int = 5,
    gamma: float = 0.9,
    *,
    requests: tuple[float, float] = (3.0, 4.0),
    returns: tuple[float, float] = (3.0, 2.0),
    rent: float = 10.0,
    cost: float = 2.0,
    dtype: Any = np.float64,
) -> MDP:
    """Sutton & Barto, Reinforcement Learning, 2nd edition, Example 4.2
    (http://incompleteideas.net/book/the-book-2nd.html).

    State i * (cars + 1) + j: i cars stand at the first place and j at the second in the evening; cars beyond `cars` are
    taken away. Action a moves a - most_moved cars from the first to the second place, at `cost` each, as far as there
    are any; then requests and returns come, Poisson with these means, each car let pays `rent`. What is returned can be
    let the day after. The Poisson tails beyond `cars` are added up exactly. Nothing ends: no state is absorbing.
    """
    size, moved = cars + 1, np.arange(-most_moved, most_moved + 1)[:, None]
    first, second = (axis.ravel() for axis in np.indices((size, size)))
    legal = (moved <= first) & (-moved <= second)
    shift = np.where(legal, moved, 0)
    morning = np.minimum(first - shift, cars), np.minimum(second + shift, cars)  # [actions, states]
    next_first, income_first = _day(cars, requests[0], returns[0])
    next_second, income_second = _day(cars, requests[1], returns[1])
    probability = next_first[morning[0]][..., :, None] * next_second[morning[1]][..., None, :]
    probability = probability.reshape(*morning[0].shape, size * size).transpose(0, 2, 1)
    reward = rent * (income_first[morning[0]] + income_second[morning[1]]) - cost * np.abs(shift)
    successor = np.broadcast_to(np.arange(size * size, dtype=np.int32)[:, None], probability.shape).copy()
    names = tuple(f"{number:+d}" if number else "0" for number in moved.ravel().tolist())
    return MDP(
        successor,
        np.ascontiguousarray(probability, dtype),
        reward[:, None].astype(dtype),
        gamma,
        np.zeros(size * size, bool),
        np.ascontiguousarray(legal.T),
        grid=(size, size),
        action_names=names,
    )


def _day(cars: int, requests: float, returns: float) -> tuple[np.ndarray, np.ndarray]:
    """One place in a day -> chances [cars + 1 in the morning, cars + 1 in the evening], and how many are let."""
    chances, let = np.zeros((cars + 1, cars + 1)), np.zeros(cars + 1)
    for morning in range(cars + 1):
        for gone, chance in enumerate(_at_most(requests, morning)):
            let[morning] += gone * chance
            left = morning - gone
            chances[morning, left:] += chance * _at_most(returns, cars - left)
    return chances, let


def _at_most(mean: float, most: int) -> np.ndarray:
    """Poisson probabilities of 0 .. most, all that is more counted as `most`: [most + 1], summing to 1."""
    density = np.array([math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(most)])
    return np.append(density, max(0.0, 1 - density.sum()))
