"""What another library's functions return, made fit to be carried through a scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp


def settled(tree: Any) -> Any:
    """The same as arrays whose dtypes are settled: a weak one would change between the reset and the first step."""

    def one(x: Any) -> jax.Array:
        x = jnp.asarray(x)
        return jax.lax.convert_element_type(x, x.dtype)

    return jax.tree.map(one, tree)


def pairs(options: Any) -> tuple[tuple[str, Any], ...]:
    """Options, a mapping or pairs, as sorted pairs that can be hashed."""
    given = options.items() if isinstance(options, Mapping) else options
    return tuple(sorted((name, tuple(value) if isinstance(value, list) else value) for name, value in given))
