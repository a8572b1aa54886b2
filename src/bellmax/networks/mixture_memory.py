"""A memory that foresees: what will be seen next, as a mixture, and whether it is the end."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.mixtures import NormalMixture
from bellmax.networks.encoder import Encoder
from bellmax.networks.mlp import Dense
from bellmax.networks.recurrent import Recurrent
from bellmax.spaces import Space


class Foreseen(NamedTuple):
    """What follows an action."""

    z: NormalMixture  # of the next latent numbers, [latent, mixtures]
    end: Array  # logit of an end for good
    reward: Array


class MixtureMemory(eqx.Module):
    """MDN-RNN: an LSTM that reads z and the action, and heads for what comes next (Graves, 2013, section 3;
    https://arxiv.org/abs/1308.0850). The means are those of the change of z."""

    recurrent: Recurrent
    actions: Encoder
    mixture: Dense
    end: Dense
    reward: Dense
    mixtures: int = eqx.field(static=True)

    def __init__(self, key: Array, latent: int, action: Space, size: int, mixtures: int):
        recurrent_key, action_key, mixture_key, end_key, reward_key = jax.random.split(key, 5)
        self.actions = Encoder(action_key, action)
        self.recurrent = Recurrent(recurrent_key, latent + self.actions.size, size, "lstm")
        self.mixture = Dense(mixture_key, size, 3 * latent * mixtures, 0.1)
        self.end, self.reward = Dense(end_key, size, 1, 0.1), Dense(reward_key, size, 1, 0.1)
        self.mixtures = mixtures

    def begin(self) -> Any:
        """The memory at the start of an episode."""
        return self.recurrent.begin()

    def __call__(self, memory: Any, z: Array, action: Any) -> tuple[Any, Foreseen]:
        """memory, z [latent], action -> memory, what follows."""
        memory, features = self.recurrent(memory, jnp.concatenate([z, self.actions(action)]))
        logits, change, log_std = self.mixture(features).reshape(3, len(z), self.mixtures)
        mixture = NormalMixture(logits, z[:, None] + change, jnp.clip(log_std, -5.0, 2.0))
        return memory, Foreseen(mixture, self.end(features)[0], self.reward(features)[0])
