"""Between a tree and its leaves by name: what a checkpoint stores, and whether it fits the tree at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.runs.tensors import WrongCheckpoint

_SCALARS = bool | int | float
_STRUCTURE = "probably the algorithm, one of its structural settings or the version of bellmax changed"
_LEADING = "probably the number of environments, of seeds, or the size of a buffer or layer changed"
_SIZES = "probably the sizes of the network or the spaces of the environment changed"
_PRECISION = "probably the precision changed"
_KEYS = "probably JAX's default random number generator (jax_default_prng_impl) changed"
_REMEDY = "use the settings it was saved with (config.json), or start a new run."


def flatten(tree: Any) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays by key path, and the generator of those that are typed PRNG keys.

    A typed key is stored as its key data, uint32. Raises TypeError for a leaf that is no array.
    """
    leaves, keys = {}, {}
    for name, leaf in _named(tree).items():
        if _is_key(leaf):
            keys[name] = _generator(leaf)
            leaf = jax.random.key_data(leaf)
        if isinstance(leaf, jax.Array):
            leaf.copy_to_host_async()  # all of them start before the first is waited for
        leaves[name] = leaf
    return {name: np.asarray(leaf) for name, leaf in leaves.items()}, keys


def restore(template: Any, arrays: dict[str, np.ndarray], keys: Mapping[str, str], source: str) -> Any:
    """The template's tree with the values of `arrays`, bit for bit.

    template  tree of arrays or jax.ShapeDtypeStruct; a leaf comes back as what it is there: a NumPy
              array, a Python number, a typed key, else a jax.Array
    arrays    by key path; emptied on the way, so that a replay buffer is not held twice
    source    what the error calls the file

    Raises WrongCheckpoint, which names the first leaf that differs.
    """
    named = _named(template)
    for name, leaf in named.items():
        _check(name, leaf, arrays, keys, source)
    extra = [name for name in arrays if name not in named]
    if extra:
        raise _wrong(source, f"it has a leaf {extra[0]} that there is no place for now", _STRUCTURE)
    leaves = [_like(leaf, arrays.pop(name), keys.get(name)) for name, leaf in named.items()]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _named(tree: Any) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path)
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct | _SCALARS):
            raise TypeError(f"Leaf {name or 'of the tree'} is a {type(leaf).__name__}: only arrays can be saved.")
        if name in named:
            raise ValueError(f"Two leaves are both called {name}: give them different names.")
        named[name] = leaf
    return named


def _is_key(leaf: Any) -> bool:
    return not isinstance(leaf, _SCALARS) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _generator(leaf: Any) -> str:
    """Which generator a typed key belongs to; tracing asks a ShapeDtypeStruct the same question."""
    found = []
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), leaf)
    return str(found[0])


def _check(name: str, leaf: Any, arrays: Mapping[str, np.ndarray], keys: Mapping[str, str], source: str) -> None:
    if name not in arrays:
        raise _wrong(source, f"it has no leaf {name}", _STRUCTURE)
    was, now = keys.get(name), _generator(leaf) if _is_key(leaf) else None
    if was != now:
        kinds = [f"a {kind} key" if kind else "no typed key" for kind in (was, now)]
        raise _wrong(source, f"leaf {name} is {kinds[0]} there and {kinds[1]} now", _KEYS)
    found, wanted = arrays[name], jax.eval_shape(jax.random.key_data, leaf) if now else leaf
    shape, dtype = np.shape(wanted), np.dtype(getattr(wanted, "dtype", type(wanted)))
    if found.shape == shape and found.dtype == dtype:
        return
    if found.shape == shape:
        reason = _PRECISION
    else:
        reason = _LEADING if len(found.shape) == len(shape) and found.shape[1:] == shape[1:] else _SIZES
    there, here = (f"{kind}{list(size)}" for kind, size in ((found.dtype, found.shape), (dtype, shape)))
    raise _wrong(source, f"leaf {name} is {there} there and {here} now", reason)


def _wrong(source: str, difference: str, reason: str) -> WrongCheckpoint:
    return WrongCheckpoint(f"{source} does not fit: {difference}; {reason}: {_REMEDY}")


def _like(leaf: Any, array: np.ndarray, generator: str | None) -> Any:
    if generator is not None:
        return jax.random.wrap_key_data(jnp.array(array), impl=generator)
    if isinstance(leaf, _SCALARS):
        return array.item()
    if isinstance(leaf, np.ndarray | np.generic):
        return array
    value = jnp.array(array)
    return value if value.dtype == array.dtype else array  # without x64, JAX would round 64-bit numbers
