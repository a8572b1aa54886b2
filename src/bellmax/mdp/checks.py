"""What is wrong with a model, in one sentence that names the state and the action."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import numpy as np

if TYPE_CHECKING:
    from bellmax.mdp.model import MDP

CHUNK = 1 << 20  # numbers of one array looked at together: large models are never copied as a whole


def check(mdp: MDP) -> None:
    """Raise ValueError unless `mdp` is a Markov decision process that can be solved."""
    _gamma(mdp)
    _shapes(mdp)
    _choices(mdp)
    for part in _parts(mdp):
        _successors(mdp, part)
        _probabilities(mdp, part)
        _rewards(mdp, part)
        _absorbing(mdp, part)
    _start(mdp)
    if mdp.gamma == 1:
        _ends(mdp)


def tolerance(dtype: np.dtype) -> float:
    """How far from 1 the probabilities of a row may sum."""
    return 1e-5 if dtype == np.float32 else 1e-9


def _gamma(mdp: MDP) -> None:
    if not (isinstance(mdp.gamma, int | float | np.number) and 0 <= mdp.gamma <= 1):
        raise ValueError(f"MDP.gamma = {mdp.gamma!r}: it must be in [0, 1].")


def _shapes(mdp: MDP) -> None:
    floats = np.float32, np.float64
    _array("probability", mdp.probability, floats, "[actions, outcomes, states]", None)
    actions, _, states = sizes = mdp.probability.shape
    if 0 in sizes:
        raise ValueError(f"MDP.probability has shape {sizes}: give at least one action, outcome and state.")
    _array("successor", mdp.successor, (np.int32,), "[actions, outcomes, states]", sizes)
    rewards = sizes if np.shape(mdp.reward)[1:2] != (1,) else (actions, 1, states)
    _array("reward", mdp.reward, (mdp.probability.dtype.type,), "[actions, outcomes or 1, states]", rewards)
    _array("absorbing", mdp.absorbing, (np.bool_,), "[states]", (states,))
    if mdp.legal is not None:
        _array("legal", mdp.legal, (np.bool_,), "[states, actions]", (states, actions))
    if mdp.start is not None:
        _array("start", mdp.start, floats, "[states]", (states,))
    if mdp.grid is not None and math.prod(mdp.grid) != states:
        raise ValueError(f"MDP.grid = {mdp.grid}: rows times columns must be the number of states, {states}.")
    if mdp.action_names and len(mdp.action_names) != actions:
        raise ValueError(f"MDP.action_names = {mdp.action_names}: give one name for each of the {actions} actions.")


def _array(name: str, array: object, kinds: tuple[type, ...], axes: str, shape: tuple[int, ...] | None) -> None:
    if not isinstance(array, np.ndarray):
        raise ValueError(f"MDP.{name} is a {type(array).__name__}: give a NumPy array {axes}.")
    if array.dtype.type not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"MDP.{name} has dtype {array.dtype}: it must be {wanted}; convert it with .astype.")
    if shape is None and array.ndim != axes.count(",") + 1:
        raise ValueError(f"MDP.{name} has shape {array.shape}: it must be {axes}.")
    if shape is not None and array.shape != shape:
        raise ValueError(f"MDP.{name} has shape {array.shape}: it must be {axes}, here {shape}.")


def _choices(mdp: MDP) -> None:
    if mdp.absorbing.all():
        raise ValueError("MDP.absorbing: every state is absorbing, so that nothing ever happens; leave one open.")
    if mdp.legal is not None:
        stuck = ~mdp.legal.any(axis=1) & ~mdp.absorbing
        if stuck.any():
            raise ValueError(
                f"MDP.legal: state {stuck.argmax()} has no legal action; allow one, or make the state absorbing."
            )


def _parts(mdp: MDP) -> Iterator[slice]:
    """The states in chunks."""
    size = max(1, CHUNK // (mdp.actions * mdp.outcomes))
    for low in range(0, mdp.states, size):
        yield slice(low, min(low + size, mdp.states))


def _successors(mdp: MDP, part: slice) -> None:
    successor = mdp.successor[:, :, part]
    if successor.min() < 0 or successor.max() >= mdp.states:
        wrong = (successor < 0) | (successor >= mdp.states)
        action, outcome, state = _first(wrong)
        _complain(mdp, "successor", part.start + state, action, f"outcome {outcome} leads to state "
                  f"{successor[action, outcome, state]}; there are states 0 to {mdp.states - 1}.")  # fmt: skip


def _probabilities(mdp: MDP, part: slice) -> None:
    probability = mdp.probability[:, :, part]
    if not probability.min() >= 0:  # NaN too
        action, outcome, state = _first(~(probability >= 0))
        value = probability[action, outcome, state]
        said = f"the probability of outcome {outcome} is {value:g}; it must be in [0, 1]."
        _complain(mdp, "probability", part.start + state, action, said)
    total = probability.sum(axis=1)
    if np.abs(total - 1).max() <= tolerance(probability.dtype):
        return
    wrong = ~(np.abs(total - 1) <= tolerance(probability.dtype)) & _matters(mdp, part)
    if wrong.any():
        action, state = _first(wrong)
        said = f"the probabilities of its outcomes sum to {total[action, state]:.9g}; they must sum to 1."
        _complain(mdp, "probability", part.start + state, action, said)


def _rewards(mdp: MDP, part: slice) -> None:
    reward = mdp.reward[:, :, part]
    finite = np.isfinite(reward)
    if not finite.all():
        action, outcome, state = _first(~finite)
        said = f"it is {reward[action, outcome, state]:g} for outcome {outcome}; give a finite number."
        _complain(mdp, "reward", part.start + state, action, said)


def _absorbing(mdp: MDP, part: slice) -> None:
    """What is over stays over, for nothing: a solver need not ask where it stands."""
    states = part.start + np.flatnonzero(mdp.absorbing[part])
    if not len(states):
        return
    taken = mdp.probability[:, :, states] > 0
    leaves = taken & (mdp.successor[:, :, states] != states)
    pays = taken & (mdp.reward[:, :, states] != 0)
    if (leaves | pays).any():
        action, outcome, index = _first(leaves | pays)
        what = "leaves it" if leaves[action, outcome, index] else "pays"
        said = f"the state is absorbing, and yet outcome {outcome} {what}; let it lead back to the state for nothing."
        _complain(mdp, "absorbing", states[index], action, said)


def _matters(mdp: MDP, part: slice) -> np.ndarray:
    """Which actions are legal, [actions, states of the part]."""
    if mdp.legal is None:
        return np.ones((mdp.actions, part.stop - part.start), bool)
    return (mdp.legal[part] | mdp.absorbing[part, None]).T


def _start(mdp: MDP) -> None:
    start = mdp.start
    if start is None:
        return
    if not start.min() >= 0:
        state = _first(~(start >= 0))[0]
        raise ValueError(f"MDP.start: the probability of state {state} is {start[state]:g}; it must be in [0, 1].")
    if abs(start.sum() - 1) > tolerance(start.dtype):
        raise ValueError(f"MDP.start: the probabilities sum to {start.sum():.9g}; they must sum to 1.")
    over = (start > 0) & mdp.absorbing
    if over.any():
        raise ValueError(
            f"MDP.start: an episode may begin in state {over.argmax()}, which is absorbing; begin elsewhere."
        )


def _ends(mdp: MDP) -> None:
    """Without discounting every state must be able to reach an end."""
    advice = "take gamma < 1, or say which states are absorbing (check=False for a finite horizon)."
    if not mdp.absorbing.any():
        raise ValueError(f"MDP.gamma = 1 with no absorbing state: rewards would add up for ever; {advice}")
    hopeless = ~_can_end(mdp)
    if hopeless.any():
        raise ValueError(
            f"MDP.gamma = 1: no policy ever leads from state {hopeless.argmax()} to an absorbing state; {advice}"
        )


def _can_end(mdp: MDP) -> np.ndarray:
    """From which states some policy may reach an absorbing one, bool [states]: a search backwards from the ends."""
    from scipy import sparse
    from scipy.sparse.csgraph import breadth_first_order

    every = slice(0, mdp.states)
    possible = (mdp.probability > 0) & _matters(mdp, every)[:, None]
    here = np.broadcast_to(np.arange(mdp.states, dtype=np.int32), possible.shape)[possible]
    ends = np.flatnonzero(mdp.absorbing).astype(np.int32)
    source = np.concatenate([mdp.successor[possible], np.full_like(ends, mdp.states)])  # one beginning behind all ends
    target = np.concatenate([here, ends])
    shape = (mdp.states + 1, mdp.states + 1)
    graph = sparse.csr_matrix((np.ones(len(source), bool), (source, target)), shape)
    found = np.zeros(mdp.states + 1, bool)
    found[breadth_first_order(graph, mdp.states, return_predecessors=False)] = True
    return found[:-1]


def _first(wrong: np.ndarray) -> tuple[int, ...]:
    """The index of the first True, counting along the last axis (states) slowest."""
    return tuple(int(index) for index in np.argwhere(wrong.T)[0][::-1])


def _complain(mdp: MDP, field: str, state: int, action: int, said: str) -> NoReturn:
    name = f" ({mdp.action_names[action]})" if mdp.action_names else ""
    raise ValueError(f"MDP.{field}: state {state}, action {action}{name}: {said}")
