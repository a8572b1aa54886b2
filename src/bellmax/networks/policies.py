"""Policies on their own, over any action space, whose log-probability of a given action is known."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.distributions import Normal
from bellmax.networks.bounds import numbers, to_box, to_unit
from bellmax.networks.encoder import Torso
from bellmax.networks.heads import Policy, PolicyHead
from bellmax.networks.mlp import Activation
from bellmax.spaces import Box, Space, Tree

LOG_STD = -5.0, 2.0  # the least and the largest


class PolicyNetwork(eqx.Module):
    """An observation -> a distribution over actions; over those of a box, a normal in -1 .. 1 with a tanh of a mean.

    Its deviation does not depend on the observation. `to_policy` and `to_action` go between the box and -1 .. 1;
    choices are what they are.
    """

    torso: Torso
    head: PolicyHead
    space: Space = eqx.field(static=True)

    def __init__(self, key: Array, obs: Tree, action: Space, hidden: tuple[int, ...], activation: Activation = "relu"):
        torso_key, head_key = jax.random.split(key)
        self.space = numbers(action) if isinstance(action, Box) else action
        self.torso = Torso(torso_key, obs, hidden, activation)
        self.head = PolicyHead(head_key, self.torso.size, action)

    def __call__(self, obs: Any) -> Policy:
        policy = self.head(self.torso(obs), obs)
        if isinstance(policy, Normal):
            return Normal(jnp.tanh(policy.mean), jnp.clip(policy.log_std, *LOG_STD))
        return policy

    def log_prob(self, obs: Any, action: Any) -> Array:
        """Of an action as the environment gets it; one number, with the density in -1 .. 1."""
        return self(obs).log_prob(self.to_policy(action))

    def to_policy(self, action: Any) -> Any:
        """An action as the environment gets it -> as the policy has it."""
        return to_unit(self.space, action) if isinstance(self.space, Box) else action

    def to_action(self, chosen: Any) -> Any:
        """The other way round, cut to the bounds."""
        return to_box(self.space, jnp.clip(chosen, -1, 1)) if isinstance(self.space, Box) else chosen
