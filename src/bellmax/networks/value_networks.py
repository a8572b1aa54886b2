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


class ChoiceCritic(eqx.Module):
    """An observation and one of the choices -> Q, one number."""

    network: QNetwork

    def __init__(self, key: Array, obs: Tree, action: Space, hidden: tuple[int, ...], activation: Activation = "relu"):
        self.network = QNetwork(key, obs, action, hidden, activation)

    def __call__(self, obs: Any, action: Array) -> Array:
        q = self.network(obs)
        return jnp.where(jnp.arange(len(q)) == action, q, 0).sum()


class StateValue(eqx.Module):
    """An observation -> V, one number."""

    torso: Torso
    head: Dense

    def __init__(self, key: Array, obs: Tree, hidden: tuple[int, ...], activation: Activation = "relu"):
        torso_key, head_key = jax.random.split(key)
        self.torso = Torso(torso_key, obs, hidden, activation)
        self.head = Dense(head_key, self.torso.size, 1)

    def __call__(self, obs: Any) -> Array:
        return self.head(self.torso(obs))[0]


def critic_for(key: Array, obs: Tree, action: Space, hidden: tuple[int, ...], activation: Activation = "relu") -> Any:
    """Q(s, a) for single choices, or for numbers of a box: the kind that the action asks for."""
    kind = ChoiceCritic if isinstance(action, Discrete) else Critic
    return kind(key, obs, action, hidden, activation)


def choices(action: Space) -> int:
    """How many actions there are to choose from. ValueError unless they are `Discrete`."""
    if not isinstance(action, Discrete):
        raise ValueError(
            f"action space {action}: this algorithm compares the values of all actions and needs a Discrete space; "
            "for continuous actions take SAC or TD3, for several choices at once PPO."
        )
    return action.n
