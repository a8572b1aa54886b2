"""An algorithm whose every action hangs on all that came of those before it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bellmax import Decision, Replay, Steps
from bellmax.core import Algorithm


class Heard(NamedTuple):
    total: jax.Array  # of what came of the episode's steps
    steps: jax.Array


class Listener(Algorithm):
    """Learns how loud it hears, so that it matters which state hears; `deaf` hears nothing."""

    experience: Steps | Replay = Steps(5)
    deaf: bool = False
    actions: int = 4

    def init(self, key, spec):
        return jnp.float32(1)

    def begin(self, state, obs, key):
        return Heard(jnp.float32(0), jnp.int32(0))

    def act(self, state, obs, key, memory=None):
        action = (jnp.int32(jnp.abs(memory.total) * 16) + memory.steps) % self.actions
        return Decision(action, {"heard": memory.total}, memory)

    def hear(self, state, memory, outcome):
        if self.deaf:
            return memory
        came = outcome.reward + 0.25 * jnp.sum(jnp.float32(outcome.obs)) + 0.5 * outcome.discount + outcome.last
        return Heard(0.5 * memory.total + state * came, memory.steps + 1)

    def update(self, state, batch, key):
        return state + 1 + 0 * batch.reward.sum(), {"loud": state}
