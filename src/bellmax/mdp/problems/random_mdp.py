"""Random models, for tests: sparse, with ends, illegal actions and several optimal policies if wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.mdp.model import MDP


def random_mdp(
    states: int = 20,
    actions: int = 4,
    outcomes: int = 3,
    seed: int = 0,
    *,
    gamma: float = 0.95,
    absorbing: float = 0.1,
    duplicates: int = 0,
    illegal: float = 0.0,
    outcome_rewards: bool = True,
    dtype: Any = np.float64,
) -> MDP:
    """Successors and standard normal rewards at random, probabilities from a flat Dirichlet distribution.

    absorbing        share of states that end the episode; with gamma 1 at least one, and then every action may lead to
                     one of them, so that all policies end
    duplicates       this many further actions are copies of earlier ones (the first of them a copy of action 0, ...):
                     wherever one of those is best, several policies are optimal
    illegal          share of (state, action) pairs that are not legal; one action a state always is
    outcome_rewards  rewards depend on the outcome too; else [actions, 1, states]
    """
    random, shape = np.random.default_rng(seed), (actions, outcomes, states)
    probability = random.exponential(size=shape)
    probability /= probability.sum(axis=1, keepdims=True)
    successor = random.integers(0, states, shape)
    reward = random.standard_normal(shape if outcome_rewards else (actions, 1, states))
    ends = round(absorbing * states)
    ends = min(max(ends, 1), states - 1) if gamma == 1 else min(ends, states - 1)
    over = np.zeros(states, bool)
    over[random.permutation(states)[:ends]] = True
    if gamma == 1:
        successor[:, -1] = random.choice(np.flatnonzero(over), (actions, states))
    successor[:, :, over], probability[:, :, over], reward[:, :, over] = np.flatnonzero(over), 0, 0
    probability[:, 0, over] = 1
    copied = np.append(np.arange(actions), np.arange(duplicates) % actions)
    arrays = successor[copied].astype(np.int32), probability[copied].astype(dtype), reward[copied].astype(dtype)
    legal = None
    if illegal:
        legal = random.random((states, len(copied))) >= illegal
        legal[np.arange(states), random.integers(0, len(copied), states)] = True
        legal |= over[:, None]
    return MDP(*arrays, gamma, over, legal)
