"""What a data set is collected with: a policy that is as it is, and now and then does anything at all."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Outcome, Transition
from bellmax.experience import Steps
from bellmax.ranges import Unit
from bellmax.spaces import Discrete, Masked, Tree, confine, sample


class Behaviour(Algorithm):
    """Around any algorithm, which does not learn: with probability `epsilon` any legal action, each alike likely."""

    inner: Algorithm
    action: Tree
    greedy_inside: bool = False  # does it exploit, where it does not do anything at all?
    epsilon: Unit = 0.0  # how often it does anything at all
    experience: Steps = Steps(128)  # how much is collected in a row

    def begin(self, state: Any, obs: Any, key: Array) -> Any:
        return self.inner.begin(state, obs, key)

    def hear(self, state: Any, memory: Any, outcome: Outcome) -> Any:
        return self.inner.hear(state, memory, outcome)

    def act(self, state: Any, obs: Any, key: Array, memory: Any = None) -> Decision:
        inner_key, any_key, coin_key = jax.random.split(key, 3)
        choose = self.inner.greedy if self.greedy_inside else self.inner.act
        chosen = choose(state, obs, inner_key, memory)
        anything = jax.random.bernoulli(coin_key, self.epsilon)
        action = confine(self.action, chosen.action)
        mixed = jax.tree.map(lambda x, y: jnp.where(anything, x, y), any_of(self.action, obs, any_key), action)
        return Decision(mixed, {}, chosen.memory)

    def update(self, state: Any, batch: Transition, key: Array) -> tuple[Any, dict[str, Array]]:
        return state, {}


def any_of(space: Tree, obs: Any, key: Array) -> Any:
    """A random action, a legal one. ValueError for masks of anything but single choices."""
    if not isinstance(obs, Masked):
        return sample(space, key)
    if not isinstance(space, Discrete):
        raise ValueError("epsilon: with a mask over several choices at once nothing is drawn; give epsilon=0.")
    return jax.random.categorical(key, jnp.where(obs.legal, 0.0, -jnp.inf)).astype(jnp.int32)
