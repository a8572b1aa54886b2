"""An observation as a row of numbers."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
from jax import Array

from bellmax.networks.encoder import Torso
from bellmax.networks.mlp import Activation, Dense
from bellmax.spaces import Tree


class Predictor(eqx.Module):
    """An observation -> [outputs]: a torso, and a dense layer."""

    torso: Torso
    head: Dense

    def __init__(self, key: Array, obs: Tree, hidden: tuple[int, ...], outputs: int, activation: Activation = "relu"):
        torso_key, head_key = jax.random.split(key)
        self.torso = Torso(torso_key, obs, hidden, activation)
        self.head = Dense(head_key, self.torso.size, outputs)

    def __call__(self, obs: Any) -> Array:
        return self.head(self.torso(obs))
