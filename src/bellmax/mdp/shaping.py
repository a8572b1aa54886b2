"""A model with shaped rewards: other values, the same best policies."""

from __future__ import annotations

from typing import Any

import numpy as np

from bellmax.maths.shaping import shaping_reward
from bellmax.mdp.model import MDP


def shaped(mdp: MDP, potential: Any) -> MDP:
    """`mdp` with gamma Phi(s') - Phi(s) added to every reward; its optimal values are V* - Phi.

    potential   [states], any numbers; those of absorbing states are not read, their Phi is 0

    Ng, Harada & Russell, 1999 (see `bellmax.maths.shaping`). Raises ValueError.
    """
    phi = np.asarray(potential, mdp.probability.dtype)
    if phi.shape != (mdp.states,) or not np.isfinite(phi).all():
        raise ValueError(f"potential has shape {phi.shape}: give a finite number for each of {mdp.states} states.")
    phi = np.where(mdp.absorbing, 0, phi)
    bonus = shaping_reward(phi, phi[mdp.successor], mdp.gamma)  # [actions, outcomes, states]
    return mdp.replace(reward=np.where(mdp.absorbing, mdp.reward, mdp.reward + bonus))
