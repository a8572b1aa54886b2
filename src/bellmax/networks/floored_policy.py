"""Policies that never become certain, so that whoever follows them goes on seeing something new."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.distributions import Normal
from bellmax.networks.bounds import numbers, to_box
from bellmax.networks.heads import Policy, PolicyHead
from bellmax.networks.mlp import MLP, Dense
from bellmax.networks.normed import normed
from bellmax.spaces import Box, Space

STD = 0.1, 1.0  # the least and the largest deviation of continuous actions, measured in -1 .. 1


class FlooredPolicy(eqx.Module):
    """Features [inputs] -> a distribution over actions, as in DreamerV3's authors' code.

    Choices are mixed with `unimix` of evenly drawn ones. Over the actions of a box it is a normal in -1 .. 1 with a
    tanh of a mean and a deviation in 0.1 .. 1 that depends on the features. `to_action` makes an action of the
    environment of what was drawn.
    """

    mlp: MLP
    head: PolicyHead | Dense
    space: Space = eqx.field(static=True)

    def __init__(self, key: Array, inputs: int, action: Space, hidden: tuple[int, ...]):
        mlp_key, head_key = jax.random.split(key)
        self.mlp = normed(MLP(mlp_key, (inputs, *hidden), "swish"))
        self.space = numbers(action) if isinstance(action, Box) else action
        if isinstance(self.space, Box):
            self.head = Dense(head_key, hidden[-1], 2 * self.space.shape[0], 0.01)
        else:
            self.head = PolicyHead(head_key, hidden[-1], self.space)

    def __call__(self, features: Array, unimix: float | Array = 0.01) -> Policy:
        outputs = self.head(self.mlp(features))
        if not isinstance(outputs, Array):
            return outputs.mixed(unimix)  # type: ignore[union-attr]
        mean, std = jnp.split(outputs, 2)
        low, high = STD
        return Normal(jnp.tanh(mean), jnp.log(low + (high - low) * jax.nn.sigmoid(std + 2)))

    def to_action(self, chosen: Any) -> Any:
        """What was drawn -> what the environment gets: an action of the box, or the choice itself."""
        return to_box(self.space, jnp.clip(chosen, -1, 1)) if isinstance(self.space, Box) else chosen
