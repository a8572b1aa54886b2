"""The gambler's problem: stake on the toss of a coin until the capital is 100 or lost."""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.mdp.model import MDP


def gambler(heads: float = 0.4, goal: int = 100, *, dtype: Any = np.float64) -> MDP:
    """Sutton & Barto, Reinforcement Learning, 2nd edition, Example 4.3
    (http://incompleteideas.net/book/the-book-2nd.html).

    State: the capital, 0 to `goal`, both absorbing. Action i stakes i + 1, at most what there is and what is missing.
    Heads, of probability `heads`, wins the stake. Reward 1 on reaching the goal, gamma 1: values are chances to win.
    The book's stake of 0 is left out: it is never better and never ends.
    """
    capital, stake = np.arange(goal + 1), np.arange(1, goal // 2 + 1)[:, None]
    over = (capital == 0) | (capital == goal)
    legal = (stake <= np.minimum(capital, goal - capital)) | over
    stake = np.where(legal & ~over, stake, 0)
    successor = np.stack([capital + stake, capital - stake], axis=1)
    chances = np.array([heads, 1 - heads])[None, :, None]
    probability = np.where(over, np.array([1, 0])[None, :, None], chances)
    probability = np.broadcast_to(probability, successor.shape)
    reward = (successor == goal) & ~over
    names = tuple(f"stake {amount}" for amount in range(1, goal // 2 + 1))
    arrays = successor.astype(np.int32), probability.astype(dtype), reward.astype(dtype)
    return MDP(*arrays, 1.0, over, np.ascontiguousarray(legal.T), action_names=names)


def winning_chances(heads: float = 0.4, goal: int = 100) -> np.ndarray:
    """The chance to win by bold play (stake all that is useful), [goal + 1]: optimal if `heads` <= 1/2.

    Dubins & Savage, How to Gamble If You Must (1965): f(x) = p f(2x) below 1/2, p + (1 - p) f(2x - 1) above. Followed
    here, without any solver, until the chance of getting that far is below 1e-18.
    """
    return np.array([_bold(x, heads, goal) for x in range(goal + 1)])


def _bold(capital: int, heads: float, goal: int) -> float:
    total, weight = 0.0, 1.0
    while 0 < capital < goal and weight > 1e-18:
        if 2 * capital >= goal:
            total, weight, capital = total + weight * heads, weight * (1 - heads), 2 * capital - goal
        else:
            weight, capital = weight * heads, 2 * capital
    return total + weight * (capital == goal)
