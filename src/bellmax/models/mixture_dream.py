"""A world that is dreamt: what a memory foresees, as an environment."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.networks.mixture_memory import MixtureMemory
from bellmax.ranges import NonNegative
from bellmax.spaces import Box


class MixtureDreamState(NamedTuple):
    """Where the dream is."""

    z: Array  # [latent]
    memory: Any


class MixtureDream(Env):
    """The learned model of World Models (Ha & Schmidhuber, 2018, https://arxiv.org/abs/1803.10122, section 4).

    Observation: z and the hidden state h, as one array [latent + memory], which is what the controller sees. The next z
    is drawn from the mixture at the `temperature`: the higher, the harder it is to live off the model's mistakes. The
    dream ends by a coin with the probability foreseen.
    """

    memory: Annotated[Any, float]  # a MixtureMemory
    starts: Annotated[Any, float]  # [many, latent], z of first observations
    temperature: NonNegative = 1.0  # of the mixture

    @property
    def spec(self) -> Spec:
        model: MixtureMemory = self.memory
        size = self.starts.shape[-1] + model.recurrent.cell.hidden_size
        return Spec(Box((size,)), model.actions.spaces[0])

    def reset(self, key: Array) -> tuple[MixtureDreamState, Array]:
        state = MixtureDreamState(self.starts[jax.random.randint(key, (), 0, len(self.starts))], self.memory.begin())
        return state, seen(state.z, state.memory)

    def step(self, env_state: MixtureDreamState, action: Any, key: Array) -> tuple[MixtureDreamState, Outcome]:
        z_key, end_key = jax.random.split(key)
        memory, foreseen = self.memory(env_state.memory, env_state.z, action)
        z = foreseen.z.sample(z_key, self.temperature)
        over = jax.random.bernoulli(end_key, jax.nn.sigmoid(foreseen.end))
        return MixtureDreamState(z, memory), Outcome(
            seen(z, memory), foreseen.reward, 1 - over.astype(jnp.float32), over
        )


def seen(z: Array, memory: Any) -> Array:
    """What the controller sees: z and h."""
    return jnp.concatenate([z, memory[0]])
