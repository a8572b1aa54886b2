"""What a policy will do, exactly: the distribution over states, pushed forward step by step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bellmax.mdp.model import MDP


class Forecast(NamedTuple):
    """Of a policy, from where episodes begin."""

    score: np.ndarray  # [steps + 1], mean undiscounted sum of rewards after 0, 1, ... steps
    ended: np.ndarray  # [steps + 1], probability that the episode has terminated by then
    occupancy: np.ndarray  # [states], probabilities of standing there after the last step


def forecast(mdp: MDP, policy: np.ndarray, steps: int) -> Forecast:
    """Follow `policy` for `steps` steps: an action for every state [states], or probabilities [states, actions].

    Exact, in float64: with a reward of 1 at the goal alone, `score[-1]` is the probability of success within a time
    limit of `steps`.
    """
    chances, policy = np.zeros((mdp.states, mdp.actions)), np.asarray(policy)
    if policy.ndim == 1:
        chances[np.arange(mdp.states), policy] = 1
    else:
        chances[:] = policy
    weight: np.ndarray = mdp.probability * chances.T[:, None]  # [actions, outcomes, states]
    pays = (weight * mdp.reward).sum(axis=(0, 1))
    taken = weight > 0
    origin = np.broadcast_to(np.arange(mdp.states), weight.shape)[taken]
    there, weight = mdp.successor[taken], weight[taken]
    occupancy: np.ndarray = mdp.starts().astype(np.float64)
    score, ended = [0.0], [0.0]
    for _ in range(steps):
        score.append(score[-1] + float(occupancy @ pays))
        occupancy = np.bincount(there, occupancy[origin] * weight, mdp.states)
        ended.append(float(occupancy[mdp.absorbing].sum()))
    return Forecast(np.array(score), np.array(ended), occupancy)
