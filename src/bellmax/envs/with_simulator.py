"""Environments that let themselves be looked into, for algorithms that plan with a known model."""

from __future__ import annotations

from typing import Any

import jax
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.spaces import Box, Simulated


class WithSimulator(Env):
    """An environment whose observations are `Simulated`: what is seen, and the state that `inner.step` goes on from.

    A wrapper, and not part of every observation, so that only those who plan store simulators in their experience; an
    observation, and not something a driver hands over, so that a planner acts wherever there are observations: in both
    halves of a round, in evaluation, against others.
    """

    inner: Env

    @property
    def name(self) -> str:
        """That of the environment inside."""
        name, kind = getattr(self.inner, "name", None), type(self.inner)
        if isinstance(name, str):
            return name
        return f"bellmax:{kind.__name__}" if kind.__module__.startswith("bellmax.") else kind.__name__

    @property
    def spec(self) -> Spec:
        spec, state = self.inner.spec, jax.eval_shape(lambda: self.inner.reset(jax.random.key(0))[0])
        return spec._replace(obs=Simulated(spec.obs, jax.tree.map(_described, state)))

    def reset(self, key: Array) -> tuple[Any, Simulated]:
        env_state, obs = self.inner.reset(key)
        return env_state, Simulated(obs, env_state)

    def step(self, env_state: Any, action: Array, key: Array) -> tuple[Any, Outcome]:
        env_state, outcome = self.inner.step(env_state, action, key)
        return env_state, outcome._replace(obs=Simulated(outcome.obs, env_state))

    def __getattr__(self, name: str) -> Any:
        """How the environment inside is shown, if it can be."""
        if name in ("text", "render", "frames_per_second"):
            return getattr(self.inner, name)
        raise AttributeError(f"WithSimulator has no {name!r}.")


def _described(x: jax.ShapeDtypeStruct) -> Box:
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        raise ValueError("This environment's state holds a random key: a plan made in it would know what chance does.")
    return Box(tuple(x.shape), dtype=str(x.dtype))
