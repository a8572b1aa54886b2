"""A policy over discrete actions on its own."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
from jax import Array

from bellmax.maths.distributions import Categorical
from bellmax.networks.encoder import Torso
from bellmax.networks.mlp import Activation, Dense
from bellmax.networks.value_networks import choices
from bellmax.spaces import Masked, Space, Tree


class ChoiceActor(eqx.Module):
    """An observation -> one of the actions. Illegal ones have probability zero."""

    torso: Torso
    logits: Dense

    def __init__(self, key: Array, obs: Tree, action: Space, hidden: tuple[int, ...], activation: Activation = "relu"):
        torso_key, logits_key = jax.random.split(key)
        self.torso = Torso(torso_key, obs, hidden, activation)
        self.logits = Dense(logits_key, self.torso.size, choices(action), 0.01)

    def __call__(self, obs: Any) -> Categorical:
        policy = Categorical(self.logits(self.torso(obs)))
        return policy.masked(obs.legal) if isinstance(obs, Masked) else policy
