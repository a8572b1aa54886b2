"""From features to a policy, and the policy and value networks of the actor-critic family."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.distributions import Categorical, MultiCategorical, Normal
from bellmax.networks.encoder import Torso
from bellmax.networks.mlp import Activation, Dense
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, Space, Tree

Policy = Categorical | MultiCategorical | Normal


class PolicyHead(eqx.Module):
    """Features [inputs] -> a distribution over the actions of `space`.

    Discrete: Categorical. MultiDiscrete and MultiBinary: MultiCategorical. Box: Normal with a standard deviation
    that does not depend on the state and starts at 1; its actions may leave the box, the driver cuts them there.
    """

    dense: Dense
    log_std: Array | None
    space: Space = eqx.field(static=True)

    def __init__(self, key: Array, inputs: int, space: Space, scale: float = 0.01):
        self.space = space
        self.dense = Dense(key, inputs, _outputs(space), scale)
        self.log_std = jnp.zeros(_outputs(space)) if isinstance(space, Box) else None

    def __call__(self, features: Array, obs: Any = None) -> Policy:
        """`obs` is looked at for its mask of legal actions alone."""
        policy = self._policy(self.dense(features))
        return policy.masked(obs.legal) if isinstance(obs, Masked) else policy

    def _policy(self, outputs: Array) -> Policy:
        if isinstance(self.space, Discrete):
            return Categorical(outputs)
        if isinstance(self.space, Box):
            assert self.log_std is not None
            return Normal(outputs, self.log_std)
        counts = _counts(self.space)
        pieces = jnp.split(outputs, [sum(counts[: i + 1]) for i in range(len(counts) - 1)], axis=-1)
        return MultiCategorical(tuple(Categorical(piece) for piece in pieces))


def _counts(space: Any) -> tuple[int, ...]:
    return space.counts if isinstance(space, MultiDiscrete) else (2,) * space.n


def _outputs(space: Space) -> int:
    if isinstance(space, Discrete):
        return space.n
    if isinstance(space, MultiDiscrete | MultiBinary):
        return sum(_counts(space))
    if isinstance(space, Box) and len(space.shape) == 1:
        return space.shape[0]
    raise ValueError(
        f"action space {space}: policies act in Discrete, MultiDiscrete, MultiBinary and one-axis Box spaces; "
        "flatten the action in the environment."
    )


class ActorCritic(eqx.Module):
    """A policy and a value, from torsos of their own or, if `shared`, from one.

    The value's own torso also sees what is privileged in an observation.
    """

    torsos: list[Torso]  # the one that is shared, or the policy's and the value's
    head: PolicyHead
    value_head: Dense

    def __init__(
        self,
        key: Array,
        obs: Tree,
        action: Space,
        hidden: tuple[int, ...],
        activation: Activation = "tanh",
        shared: bool = False,
    ):
        torso_key, value_torso_key, head_key, value_key = jax.random.split(key, 4)
        keys = [torso_key] if shared else [torso_key, value_torso_key]
        self.torsos = [Torso(k, obs, hidden, activation, privileged=i == 1) for i, k in enumerate(keys)]
        self.head = PolicyHead(head_key, self.torsos[0].size, action)
        self.value_head = Dense(value_key, self.torsos[-1].size, 1)

    def policy(self, obs: Any) -> Policy:
        return self.head(self.torsos[0](obs), obs)

    def value(self, obs: Any) -> Array:
        return self.value_head(self.torsos[-1](obs))[0]
