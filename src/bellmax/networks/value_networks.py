"""Action values: Q(s, .) for choices, Q(s, a) for continuous actions."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.networks.bounds import numbers, to_unit
from bellmax.networks.encoder import Encoder, Torso
from bellmax.networks.mlp import MLP, Activation, Dense
from bellmax.spaces import Discrete, Space, Tree


class QNetwork(eqx.Module):
    """An observation -> `outputs` numbers for each of the actions: [actions], or [actions, outputs] if more than one.

    With `dueling` (Wang et al., 2016, https://arxiv.org/abs/1511.06581, eq. 9) Q = V + A - mean A.
    """

    torso: Torso
    advantage: Dense
    value: Dense | None
    outputs: int = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        obs: Tree,
        action: Space,
        hidden: tuple[int, ...],
        activation: Activation = "relu",
        dueling: bool = False,
        outputs: int = 1,
    ):
        torso_key, advantage_key, value_key = jax.random.split(key, 3)
        self.torso = Torso(torso_key, obs, hidden, activation)
        self.advantage = Dense(advantage_key, self.torso.size, choices(action) * outputs)
        self.value = Dense(value_key, self.torso.size, outputs) if dueling else None
        self.outputs = outputs

    def __call__(self, obs: Any) -> Array:
        features = self.torso(obs)
        advantage = self.advantage(features).reshape(-1, self.outputs)
        q = advantage if self.value is None else self.value(features) + advantage - advantage.mean(0)
        return q[:, 0] if self.outputs == 1 else q


class Critic(eqx.Module):
    """An observation and an action [actions] of the box -> Q, one number. It sees the action in -1 .. 1."""

    encoder: Encoder
    mlp: MLP
    head: Dense
    space: Space = eqx.field(static=True)

    def __init__(self, key: Array, obs: Tree, action: Space, hidden: tuple[int, ...], activation: Activation = "relu"):
        encoder_key, mlp_key, head_key = jax.random.split(key, 3)
        self.encoder, self.space = Encoder(encoder_key, obs), action
        self.mlp = MLP(mlp_key, (self.encoder.size + numbers(action).shape[0], *hidden), activation)
        self.head = Dense(head_key, hidden[-1], 1)

    def __call__(self, obs: Any, action: Array) -> Array:
        return self.head(self.mlp(jnp.concatenate([self.encoder(obs), to_unit(self.space, action)])))[0]


def choices(action: Space) -> int:
    """How many actions there are to choose from. ValueError unless they are `Discrete`."""
    if not isinstance(action, Discrete):
        raise ValueError(
            f"action space {action}: this algorithm compares the values of all actions and needs a Discrete space; "
            "for continuous actions take SAC or TD3, for several choices at once PPO."
        )
    return action.n
