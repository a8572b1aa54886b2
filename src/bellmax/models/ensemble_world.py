"""The ensemble as an environment: every step is foreseen by a member that is drawn, and drawn from what it foresees."""

from __future__ import annotations

from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.maths.chance import uniform
from bellmax.maths.standardising import deviation
from bellmax.models.ensemble import State, foreseen
from bellmax.spaces import confine

Learned = Annotated[Any, float]  # a tree of arrays, which JAX sees through as it does through a float


class EnsembleWorld(Env):
    """A world as the members of `learned` foresee it: PETS's TS1 (Chua et al., 2018, section 5.1).

    The state of the world is what is seen. Numbers that have bounds in the observation's space are cut to them. There
    is no first state: branch from real ones with `imagine(world, choose, obs, obs, key, length)`.
    """

    learned: Learned  # a `models.ensemble.State`, such as `Ensemble.best` gives

    @property
    def spec(self) -> Spec:
        return Spec(*self.learned.encoder.spaces)

    def reset(self, key: Array) -> tuple[Any, Any]:
        raise ValueError(
            "EnsembleWorld.reset: a learned model does not know where episodes begin; branch from real observations, "
            "as in bellmax.models.imagine(world, choose, obs, obs, key, length)."
        )

    def step(self, env_state: Array, action: Any, key: Array) -> tuple[Array, Outcome]:
        noise_key, chance_key = jax.random.split(key)
        by_lot = uniform(chance_key, (2,))
        learned: State = self.learned
        said = foreseen(learned, env_state[None], jax.tree.map(lambda x: jnp.asarray(x)[None], action))
        which = (by_lot[0] * len(learned.losses)).astype(jnp.int32)
        mean, log_var, ends = jax.tree.map(lambda x: x[which, 0], said)
        drawn = mean + jnp.exp(0.5 * log_var) * jax.random.normal(noise_key, mean.shape)
        change = learned.targets.mean + deviation(learned.targets) * drawn
        obs = confine(self.spec.obs, env_state + change[:-1].reshape(env_state.shape))
        last = by_lot[1] < jax.nn.sigmoid(ends)
        return obs, Outcome(obs, change[-1], 1.0 - last, last)
