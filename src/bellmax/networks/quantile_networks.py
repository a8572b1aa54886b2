"""Quantiles of the return as a function of the quantile asked for."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.encoder import Torso
from bellmax.networks.mlp import MLP, Activation, Dense
from bellmax.networks.value_networks import choices
from bellmax.spaces import Space, Tree


class ImplicitQuantiles(eqx.Module):
    """An observation and tau [n] in 0 .. 1 -> the tau quantiles of every action's return [actions, n].

    Z_tau(s) = f(psi(s) * phi(tau)) (Dabney et al., 2018, https://arxiv.org/abs/1806.06923, section 3), where psi are
    the convolutions and all dense layers but the last, f the last and a linear head, and, for i = 0 .. cosines - 1,

        phi_j(tau) = relu(sum_i cos(pi i tau) w_ij + b_j)                                                   (eq. 4)
    """

    torso: Torso  # psi
    embedding: Dense  # w and b of phi
    mlp: MLP  # f
    head: Dense

    def __init__(
        self,
        key: Array,
        obs: Tree,
        action: Space,
        hidden: tuple[int, ...],
        activation: Activation = "relu",
        cosines: int = 64,
    ):
        torso_key, embedding_key, mlp_key, head_key = jax.random.split(key, 4)
        self.torso = Torso(torso_key, obs, hidden[:-1], activation)
        self.embedding = Dense(embedding_key, cosines, self.torso.size, 2**0.5)
        self.mlp = MLP(mlp_key, (self.torso.size, *hidden[-1:]), activation)
        self.head = Dense(head_key, hidden[-1] if hidden else self.torso.size, choices(action))

    def __call__(self, obs: Any, tau: Array) -> Array:
        features = self.torso(obs)
        waves = jnp.cos(jnp.pi * tau[:, None] * jnp.arange(len(self.embedding.weight)))
        mixed = features * jax.nn.relu(self.embedding(waves))
        return self.head(self.mlp(mixed)).T
