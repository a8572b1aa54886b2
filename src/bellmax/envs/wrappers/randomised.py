"""Physics that are drawn anew for every episode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Outcome, Spec
from bellmax.envs.parameters import check_names, with_parameters
from bellmax.envs.wrappers.wrapper import Wrapper, instead, seen
from bellmax.spaces import Box, Privileged

Ranges = Annotated[Any, float]  # {name: (low, high)}; the numbers are traced, the names structure


class RandomisedState(NamedTuple):
    """The inner state, and what was drawn for this episode."""

    inner: Any
    drawn: dict[str, Array]  # by name, float32 each


class Randomised(Wrapper):
    """Domain randomisation: `Randomised(CartPole(), {"half_length": (0.25, 1.0)})`.

    Tobin et al., Domain randomization for transferring deep neural networks from simulation to the real world, 2017
    (https://arxiv.org/abs/1703.06907); of dynamics, Peng et al., 2018 (https://arxiv.org/abs/1710.06537). Each number
    named in `ranges` is drawn evenly between its ends at the start of every episode, in every environment by itself,
    and stays for the episode. Names are those of `bellmax.envs.parameters.parameters`: fields of the environment inside
    that JAX sees through, those of other wrappers included.

    With `privileged` the observation is `Privileged(obs, drawn)`, the numbers scaled to -1 .. 1 in the order of their
    names: the critics of PPO and A2C read them, policies do not (asymmetric actor-critic, Pinto et al., 2017,
    https://arxiv.org/abs/1710.06542). Raises UnknownParameter, ValueError.
    """

    ranges: Ranges
    privileged: bool = False

    def __post_init__(self) -> None:
        Wrapper.__post_init__(self)
        object.__setattr__(self, "ranges", _checked(self))

    @property
    def spec(self) -> Spec:
        inner = self.inner.spec
        if not self.privileged:
            return inner
        shown = Privileged(seen(inner.obs), Box((len(self.ranges),), -1.0, 1.0))
        return inner._replace(obs=instead(inner.obs, shown))

    def reset(self, key: Array) -> tuple[RandomisedState, Any]:
        draw_key, inner_key = jax.random.split(key)
        keys = jax.random.split(draw_key, max(len(self.ranges), 1))
        drawn = {
            name: jax.random.uniform(k, (), jnp.float32, low, high)
            for k, (name, (low, high)) in zip(keys, sorted(self.ranges.items()))
        }
        inner, obs = with_parameters(self.inner, drawn).reset(inner_key)
        return RandomisedState(inner, drawn), self._shown(obs, drawn)

    def step(self, env_state: RandomisedState, action: Any, key: Array) -> tuple[RandomisedState, Outcome]:
        inner, outcome = with_parameters(self.inner, env_state.drawn).step(env_state.inner, action, key)
        return env_state._replace(inner=inner), outcome._replace(obs=self._shown(outcome.obs, env_state.drawn))

    def _shown(self, obs: Any, drawn: dict[str, Array]) -> Any:
        if not self.privileged:
            return obs
        scaled = [_scaled(drawn[name], *self.ranges[name]) for name in sorted(self.ranges)]
        return instead(obs, Privileged(seen(obs), jnp.stack(scaled)))


def _scaled(value: Array, low: Any, high: Any) -> Array:
    """From low .. high to -1 .. 1; 0 where there is nothing to choose."""
    width = jnp.asarray(high - low)
    return jnp.where(width > 0, 2 * (value - low) / jnp.where(width > 0, width, 1) - 1, 0)


def _checked(it: Randomised) -> dict[str, tuple[Any, Any]]:
    """The ranges, sorted by name. Values that JAX is tracing, and whatever its tree functions put there, pass."""
    if not isinstance(it.ranges, Mapping):
        raise TypeError(f"Randomised.ranges = {it.ranges!r}: give names and ranges, as in {{'gravity': (9, 11)}}.")
    check_names(it.inner, it.ranges)
    found = {}
    for name in sorted(it.ranges):
        found[name] = ends(it.ranges[name], f"Randomised.ranges[{name!r}]")
        for end in found[name]:
            if isinstance(end, float):
                with_parameters(it.inner, {name: end})  # the field's own range speaks
    return found


def ends(given: Any, field: str) -> tuple[Any, Any]:
    """(low, high) of what was given. Raises ValueError."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise ValueError(f"{field} = {given!r}: give the lowest and the highest, as in (0.5, 1.5).")
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in given):
        return given[0], given[1]
    low, high = map(float, given)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{field} = {given!r}: give the lowest first, then the highest, both finite.")
    return low, high
