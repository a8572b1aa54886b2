"""Best-of-n: answer n times, keep what a reward likes best.

The simplest way to optimise against a reward, and one whose distance from the policy is known: ln n - (n - 1) / n.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def best_of(reward: Any, group: int) -> np.ndarray:
    """The best row of each group, [groups], among rewards [groups * group]; the first of those that are alike.

    Answers to one prompt stand beside each other. ValueError if `group` does not divide them, or a reward is NaN.
    """
    reward = np.asarray(reward, float)
    if group < 1 or reward.ndim != 1 or len(reward) % group:
        raise ValueError(f"group = {group}: it must divide the rewards, of shape {reward.shape}.")
    if np.isnan(reward).any():
        raise ValueError(f"the reward of row {int(np.isnan(reward).argmax())} is NaN: it cannot be compared.")
    grouped = reward.reshape(-1, group)
    return np.arange(len(grouped)) * group + grouped.argmax(1)


def kl_of_best(n: int) -> float:
    """KL(best of n || policy) = ln n - (n - 1) / n in nats (Stiennon et al., 2020, appendix G.3).

    Exact where no two answers have the same reward, which needs infinitely many answers; else an upper bound
    (Beirami et al., 2024, https://arxiv.org/abs/2401.01879).
    """
    if n < 1:
        raise ValueError(f"n = {n}: it must be at least 1.")
    return math.log(n) - (n - 1) / n


def expected_of_best(reward: Any, gold: Any, k: int) -> np.ndarray:
    """The expected gold reward of best-of-k, from n >= k answers to each prompt: [..., n], [..., n] -> [...].

    The mean over all subsets of k answers of the gold reward of what `reward` likes best in it, which is unbiased
    (Nakano et al., 2021, https://arxiv.org/abs/2112.09332, appendix I): with answers in the order of their reward, the
    i-th of n is the best of C(i - 1, k - 1) subsets of C(n, k). Answers with the same reward share their chances.
    """
    reward, gold = np.asarray(reward, float), np.asarray(gold, float)
    if reward.shape != gold.shape or reward.ndim == 0:
        raise ValueError(f"reward has shape {reward.shape} and gold {gold.shape}: both must be [..., n].")
    n = reward.shape[-1]
    if not 1 <= k <= n:
        raise ValueError(f"k = {k}: it must be from 1 to the number of answers, {n}.")
    chance = chances(n, k)
    flat = [_shared(one, other, chance) for one, other in zip(reward.reshape(-1, n), gold.reshape(-1, n))]
    return np.array(flat).reshape(reward.shape[:-1])


def chances(n: int, k: int) -> np.ndarray:
    """C(i - 1, k - 1) / C(n, k) for i = 1, ..., n: how often the i-th worst of n is the best of k of them."""
    above = np.arange(n, k, -1)
    falling = np.concatenate([[k / n], (above - k) / (above - 1)]).cumprod()  # from the best down
    return np.concatenate([np.zeros(k - 1), falling[::-1]])


def _shared(reward: np.ndarray, gold: np.ndarray, chance: np.ndarray) -> float:
    """sum of chance * gold in the order of the reward, where chances of the same reward are evened out."""
    order = np.argsort(reward, kind="stable")
    _, place, count = np.unique(reward[order], return_inverse=True, return_counts=True)
    even = np.bincount(place, chance) / count
    return float(even[place] @ gold[order])
