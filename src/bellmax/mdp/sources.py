"""Where models come from: arrays, a function, Gymnasium's toy-text environments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bellmax.core import Env
from bellmax.mdp.maps import from_env
from bellmax.mdp.model import MDP
from bellmax.mdp.rows import Row, from_rows

# Gymnasium's environments do not say how their actions are called.
NAMES = {
    "FrozenLakeEnv": ("left", "down", "right", "up"),
    "CliffWalkingEnv": ("up", "right", "down", "left"),
    "TaxiEnv": ("down", "up", "right", "left", "pick up", "drop off"),
}


def from_arrays(
    probability: Any,
    reward: Any,
    gamma: float,
    *,
    absorbing: Any = None,
    legal: Any = None,
    start: Any = None,
    grid: tuple[int, int] | None = None,
    action_names: Sequence[str] = (),
    dtype: Any = np.float64,
    check: bool = True,
) -> MDP:
    """A model from the textbook's arrays, stored as sparsely as they are.

    probability  [states, actions, states], P[s, a, s']
    reward       [states] of being there, [states, actions], or [states, actions, states]
    absorbing    bool [states]; None: the states that no action leaves and that never pay
    legal        bool [states, actions]; None: every action everywhere
    start        [states], probabilities; None: evenly on the states that are not absorbing

    What stands in the rows of absorbing states and illegal actions is not read. Raises ValueError.
    """
    p, r = np.array(probability, dtype), np.asarray(reward, dtype)
    if p.ndim != 3 or p.shape[0] != p.shape[2]:
        raise ValueError(f"from_arrays.probability has shape {p.shape}: it must be [states, actions, states].")
    if r.shape not in (p.shape[:1], p.shape[:2], p.shape):
        raise ValueError(
            f"from_arrays.reward has shape {r.shape}: it must be {p.shape[:1]}, {p.shape[:2]} or {p.shape}, which is "
            "[states], [states, actions] or [states, actions, states]."
        )
    r = r.reshape(*r.shape, *[1] * (3 - r.ndim))
    r = np.broadcast_to(r, (*p.shape[:2], r.shape[2]))
    here = np.arange(len(p))
    if absorbing is None:
        pays = ((p != 0) & (r != 0)).any(axis=(1, 2))
        absorbing = (p[here, :, here] == 1).all(axis=1) & ~pays
    over = np.array(absorbing, bool)
    idle = np.broadcast_to(over[:, None], p.shape[:2])
    if legal is not None:
        legal = np.array(legal, bool)
        idle = idle | ~legal
    p = np.where(idle[..., None], (here[:, None] == here)[:, None], p)
    r = np.where(idle[..., None], 0, r)
    successor, p, r = (np.ascontiguousarray(x.transpose(1, 2, 0)) for x in _squeezed(p, r))
    start = None if start is None else np.array(start, dtype)
    return MDP(successor, p, r, gamma, over, legal, start, grid, tuple(action_names), check)


def _squeezed(p: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Only as many outcomes as the fullest row has -> successor, probability, reward [states, actions, outcomes]."""
    outcomes = max(int(np.count_nonzero(p, axis=2).max()), 1)
    order = np.argsort(p == 0, axis=2, kind="stable")[:, :, :outcomes]
    p = np.take_along_axis(p, order, 2)
    return order.astype(np.int32), p, r if r.shape[2] == 1 else np.take_along_axis(r, order, 2)


def from_function(
    step: Callable[[Any, Any], Row],
    states: int | Sequence[Any],
    actions: int | Sequence[Any],
    gamma: float,
    *,
    start: Any = None,
    grid: tuple[int, int] | None = None,
    dtype: Any = np.float64,
    check: bool = True,
) -> MDP:
    """A model from `step(state, action) -> [(probability, successor, reward, ends), ...]`, asked for every pair.

    `states` and `actions` are how many there are (then `step` speaks in numbers from 0), or what `step` calls them. An
    action for which it answers with nothing is illegal there. States that end the episode whenever they are entered are
    absorbing; where some are entered both ways, one state for the end is appended. So is nothing else: the rows of an
    absorbing state are not used. `start`: [states], probabilities. Raises ValueError.
    """
    names, choices = _labels(states), _labels(actions)
    place = {name: index for index, name in enumerate(names)}
    if len(place) < len(names):
        raise ValueError("from_function.states: two states have the same name; make them different.")

    def row(state: int, action: int) -> list[tuple[float, int, float, bool]]:
        found = []
        for probability, successor, reward, ends in step(names[state], choices[action]):
            if successor not in place:
                raise ValueError(
                    f"from_function: state {names[state]!r}, action {choices[action]!r} leads to {successor!r}, which "
                    "is not one of the states; add it to them."
                )
            found.append((probability, place[successor], reward, ends))
        return found

    titles = () if isinstance(actions, int) else tuple(map(str, choices))
    table = [[row(state, action) for action in range(len(choices))] for state in range(len(names))]
    return from_rows(table, gamma, start=start, grid=grid, action_names=titles, dtype=dtype, check=check)


def _labels(given: int | Sequence[Any]) -> Sequence[Any]:
    return range(given) if isinstance(given, int) else list(given)


def from_gymnasium(
    env: Any, gamma: float = 0.99, *, masked: bool = False, dtype: Any = np.float64, **kwargs: Any
) -> MDP:
    """The model inside a Gymnasium toy-text environment, or one of bellmax's own grids.

    `env` is a name ("FrozenLake-v1", "CliffWalking-v1", "Taxi-v4", "bellmax:GridWorld"; `kwargs` go to its
    constructor), an environment, wrapped or not, or an in-graph `Env`. Time limits are no part of a model and are left
    out. An outcome flagged as terminated leads to an absorbing state; if that state can also be entered or begun in
    otherwise, to one that is appended. `masked`: actions are legal where the environment's `action_mask` says so.
    Raises ValueError if the environment does not know its own transitions, and what `bellmax.envs.names.find` raises
    for an unknown name.
    """
    if isinstance(env, str):
        env = _made(env, kwargs)
    if isinstance(env, Env):
        return from_env(env, gamma, dtype=dtype)
    inner = env.unwrapped
    table, name = getattr(inner, "P", None), type(inner).__name__
    if table is None:
        raise ValueError(
            f"{name} has no table P of its transitions, so there is no model to solve: FrozenLake-v1, CliffWalking-v1 "
            "and Taxi-v4 have one; learn on others with an algorithm such as q-learning."
        )
    if getattr(inner, "fickle_passenger", False):
        raise ValueError("TaxiEnv.fickle_passenger: the table P leaves the passenger's whims out; set it to False.")
    states, actions = len(table), len(table[0])
    mask = np.array([inner.action_mask(state) for state in range(states)], bool) if masked else None
    rows = [[table[s][a] if mask is None or mask[s, a] else [] for a in range(actions)] for s in range(states)]
    start = getattr(inner, "initial_state_distrib", None)
    names = NAMES.get(name, ())
    return from_rows(rows, gamma, start=start, grid=_grid_of(inner), action_names=names, dtype=dtype)


def _made(name: str, kwargs: dict[str, Any]) -> Any:
    import gymnasium

    from bellmax.envs.names import find

    found = find(name, **kwargs)  # suggests the nearest names
    return found if isinstance(found, Env) else gymnasium.make(name, **kwargs)


def _grid_of(env: Any) -> tuple[int, int] | None:
    """The picture that the states are cells of, if they are."""
    shape = getattr(env, "shape", (getattr(env, "nrow", 0), getattr(env, "ncol", 0)))
    return (int(shape[0]), int(shape[1])) if len(shape) == 2 and shape[0] * shape[1] == len(env.P) else None
