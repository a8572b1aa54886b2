"""An environment around another: what they all share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Spec
from bellmax.spaces import Box, Masked, Tree


class Wrapper(Env):
    """An environment in the graph around `inner`; its state has a field `inner`. Pictures are the inner one's."""

    inner: Env

    @property
    def spec(self) -> Spec:
        return self.inner.spec

    def restart(self, before: Any, last: Array, keys: Array) -> tuple[Any, Any]:
        """New episodes. Raises TypeError around a world in which something outlives them."""
        inner: Any = self.inner
        while type(inner).restart is Wrapper.restart:
            inner = inner.inner
        if type(inner).restart is not Env.restart:
            name = type(inner).__name__
            raise TypeError(f"{type(self).__name__}.inner = {name}(...): put {name} around everything else.")
        return Env.restart(self, before, last, keys)

    def __getattr__(self, name: str) -> Any:
        if name in ("render", "text"):
            shown = getattr(self.inner, name)
            return lambda env_state: shown(env_state.inner)
        if name == "frames_per_second":
            return self.inner.frames_per_second  # type: ignore[attr-defined]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")


def seen(obs: Any) -> Any:
    """An observation, or its space, without the mask of legal actions."""
    return obs.obs if isinstance(obs, Masked) else obs


def instead(obs: Any, shown: Any) -> Any:
    """`shown` in the place of an observation, or its space, beside the same mask."""
    return obs._replace(obs=shown) if isinstance(obs, Masked) else shown


def is_noisy(space: Any) -> bool:
    """Can noise be added? Only to numbers: not to choices, switches and pixels."""
    return isinstance(space, Box) and space.dtype.startswith("float")


def unbounded(space: Tree) -> Tree:
    """The space of noisy observations: noise knows no bounds."""
    return jax.tree.map(lambda leaf: Box(leaf.shape, dtype=leaf.dtype) if is_noisy(leaf) else leaf, space)


def pushed(queue: Any, newest: Any, delay: Any) -> tuple[Any, Any]:
    """A queue [longest, ...], oldest first, takes in `newest` -> the queue, and what came in `delay` steps ago."""
    full = jax.tree.map(lambda old, new: jnp.concatenate([old, jnp.asarray(new)[None]]), queue, newest)
    return jax.tree.map(lambda x: x[1:], full), jax.tree.map(lambda x: x[len(x) - 1 - delay], full)


def filled(item: Any, longest: int) -> Any:
    """A queue that holds nothing but `item`."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (longest, *jnp.shape(x))), item)
