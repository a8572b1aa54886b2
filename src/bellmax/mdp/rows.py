"""A model from lists of outcomes, the form in which Gymnasium keeps its `P`; and which states are ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bellmax.mdp.model import MDP

Row = Iterable[tuple[float, Any, float, bool]]  # (probability, successor, reward, whether the episode ends) of outcomes


class _Outcomes(NamedTuple):
    """One entry for each possible outcome of each action in each state."""

    state: np.ndarray
    action: np.ndarray
    outcome: np.ndarray
    probability: np.ndarray
    successor: np.ndarray
    reward: np.ndarray
    ends: np.ndarray


def from_rows(
    rows: Sequence[Sequence[Row]],
    gamma: float,
    *,
    start: Any = None,
    grid: tuple[int, int] | None = None,
    action_names: tuple[str, ...] = (),
    dtype: Any = np.float64,
    check: bool = True,
) -> MDP:
    """A model from rows[state][action] = [(probability, successor, reward, ends), ...], Gymnasium's `P`."""
    states, actions = len(rows), max((len(row) for row in rows), default=0)
    flat = _flat(rows)
    begun = np.zeros(states, bool) if start is None else np.asarray(start) > 0
    absorbing, torn = _endings(flat, begun)
    successor = np.where(flat.ends & torn[flat.successor], states, flat.successor)
    extra = int(torn.any())
    absorbing = np.append(absorbing & ~torn, np.ones(extra, bool))
    total = states + extra
    shape = (actions, int(flat.outcome.max(initial=0)) + 1, total)
    filled = np.broadcast_to(np.arange(total, dtype=np.int32), shape).copy()
    probability, reward = np.zeros(shape, dtype), np.zeros(shape, dtype)
    used = ~absorbing[flat.state]
    cells = flat.action[used], flat.outcome[used], flat.state[used]
    filled[cells], probability[cells], reward[cells] = successor[used], flat.probability[used], flat.reward[used]
    legal = np.zeros((total, actions), bool)
    legal[flat.state, flat.action] = True
    idle = (~legal | absorbing[:, None]).T
    probability[:, 0][idle] = 1
    mask = None if (legal | absorbing[:, None]).all() else legal | absorbing[:, None]
    start = None if start is None else np.append(np.asarray(start, dtype), np.zeros(extra, dtype))
    return MDP(filled, probability, reward, gamma, absorbing, mask, start, None if extra else grid, action_names, check)


def _flat(rows: Sequence[Sequence[Row]]) -> _Outcomes:
    entries = []
    for state, row in enumerate(rows):
        for action, outcomes in enumerate(row):
            for index, (probability, successor, reward, ends) in enumerate(outcomes):
                if not 0 <= successor < len(rows):
                    raise ValueError(
                        f"MDP.successor: state {state}, action {action}: outcome {index} leads to state {successor}; "
                        f"there are states 0 to {len(rows) - 1}."
                    )
                entries.append((state, action, index, probability, successor, reward, ends))
    kinds = (np.int32, np.int32, np.int32, np.float64, np.int32, np.float64, bool)
    columns = zip(*entries) if entries else [()] * len(kinds)
    return _Outcomes(*(np.array(column, kind) for column, kind in zip(columns, kinds)))


def _endings(flat: _Outcomes, begun: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which states are entered by an outcome that ends the episode, and which of them otherwise too: both [states].

    What could be done after the end does not count: the rows of a state that is only ever an end are not used.
    """
    states = len(begun)
    possible = flat.probability != 0
    ended = _marked(flat.successor[flat.ends & possible], states)
    torn = ended & begun
    while True:
        goes_on = possible & ~flat.ends & (~ended | torn)[flat.state]
        more = ended & (begun | _marked(flat.successor[goes_on], states))
        if (more == torn).all():
            break
        torn = more
    idle = ~possible | (~flat.ends & (flat.successor == flat.state) & (flat.reward == 0))
    busy = _marked(flat.state[~idle], states)
    known = _marked(flat.state, states)
    return ended | (known & ~busy & ~begun), torn


def _marked(indices: np.ndarray, size: int) -> np.ndarray:
    found = np.zeros(size, bool)
    found[indices] = True
    return found
