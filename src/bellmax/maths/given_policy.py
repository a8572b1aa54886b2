"""A policy that is given rather than learned: what prediction evaluates.

It is written as a hashable tuple, one entry a state: an action (a whole number), or the probabilities of the actions.
`()` takes every legal action evenly. Where an observation has several components, states are counted row by row.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Spec
from bellmax.maths import tables
from bellmax.maths.exploration import evenly

Policy = tuple[int, ...] | tuple[tuple[float, ...], ...]


def table_of(policy: Policy, spec: Spec, name: str) -> Array:
    """The probabilities of the actions, [*observation components, actions]. `name` is the field's, for errors.

    Raises ValueError where the policy does not fit the spaces.
    """
    return jnp.asarray(_table(policy, spec, name), jnp.float32)


def covers(behaviour: Policy, target: Policy, spec: Spec) -> None:
    """Raise ValueError unless `behaviour` takes every action that `target` takes (section 5.5's coverage)."""
    missing = (_table(target, spec, "policy") > 0) & (_table(behaviour, spec, "behaviour") == 0)
    if missing.any():
        *place, action = np.argwhere(missing)[0]
        state = np.ravel_multi_index(tuple(place), missing.shape[:-1])
        raise ValueError(
            f"behaviour: in state {state} it never takes action {action}, which policy does; "
            "give every action that policy takes a probability above 0."
        )


def _table(policy: Policy, spec: Spec, name: str) -> np.ndarray:
    shape = tables.shape_of(spec)
    states, actions = int(np.prod(shape[:-1])), shape[-1]
    if not policy:
        return np.full(shape, 1 / actions)
    entries = set(map(np.shape, policy))
    if len(policy) != states or entries not in ({()}, {(actions,)}):
        raise ValueError(
            f"{name}: {len(policy)} entries; give {states}, one a state, "
            f"each an action below {actions} or the probabilities of {actions} actions."
        )
    table = np.asarray(policy)
    if table.ndim == 1:
        if not ((table >= 0) & (table < actions)).all():
            raise ValueError(f"{name}: action {table.max()}; the actions are 0 to {actions - 1}.")
        table = np.eye(actions)[table]
    wrong = np.flatnonzero((table < 0).any(1) | (abs(table.sum(1) - 1) > 1e-5))
    if wrong.size:
        raise ValueError(f"{name}: {policy[wrong[0]]} in state {wrong[0]}; probabilities are at least 0 and sum to 1.")
    return table.reshape(shape)


def probabilities(row: Array, legal: Array | None = None) -> Array:
    """What a row of the table [actions] makes of the actions that are legal -> [actions], summing to 1.

    An illegal action's share goes to the others in proportion; where nothing is left, evenly to all legal ones.
    """
    if legal is None:
        return row
    allowed = jnp.where(legal, row, 0.0)
    total = allowed.sum()
    return jnp.where(total > 0, allowed / jnp.where(total > 0, total, 1.0), evenly(row, legal))
