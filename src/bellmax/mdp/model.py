"""A known model: finitely many states and actions, where they lead, what they pay."""

from __future__ import annotations

import dataclasses
from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np

from bellmax.mdp import checks

DIRECTIONS = ("left", "down", "right", "up")  # how the actions of grids are called


@dataclass(frozen=True, eq=False)
class MDP:
    """A finite Markov decision process (S, A, P, R, gamma), as NumPy arrays on the host.

    Each action in each state has `outcomes` possible successors, so that a sparse model costs memory for what can
    happen alone; a dense one has as many outcomes as states. States are the LAST axis: that is what makes a sweep over
    them a run through contiguous memory. Entering an absorbing state ends the episode; its value is 0, and its own rows
    lead back to itself and pay nothing. Rows of illegal actions mean nothing.

    A bad model raises ValueError, naming the state and the action; `check=False` trusts it (and lets gamma be 1 without
    an end, for a finite horizon). Two models are equal if they are the same object.
    """

    successor: np.ndarray  # int32 [actions, outcomes, states]
    probability: np.ndarray  # float32 or float64 [actions, outcomes, states]; sums to 1 over outcomes, 0 is padding
    reward: np.ndarray  # [actions, outcomes, states], or [actions, 1, states] where it does not depend on the outcome
    gamma: float  # discount, in [0, 1]
    absorbing: np.ndarray  # bool [states]
    legal: np.ndarray | None = None  # bool [states, actions]; None: all actions everywhere
    start: np.ndarray | None = None  # [states], probabilities of beginning there; None: evenly on those not absorbing
    grid: tuple[int, int] | None = None  # (rows, columns), if states are the cells of a picture, row by row
    action_names: tuple[str, ...] = ()  # such as ("left", "down", "right", "up")
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            checks.check(self)

    @property
    def states(self) -> int:
        return self.probability.shape[2]

    @property
    def actions(self) -> int:
        return self.probability.shape[0]

    @property
    def outcomes(self) -> int:
        return self.probability.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take."""
        return sum(x.nbytes for x in vars(self).values() if isinstance(x, np.ndarray))

    @property
    def memory(self) -> str:
        """The same for people, such as "1.12 GiB"."""
        return in_words(self.nbytes)

    def starts(self) -> np.ndarray:
        """Where an episode begins, as probabilities [states]."""
        if self.start is not None:
            return self.start
        return (~self.absorbing / np.count_nonzero(~self.absorbing)).astype(self.probability.dtype)

    def expected_reward(self) -> np.ndarray:
        """What an action in a state pays on average, [actions, states]."""
        if self.reward.shape[1] == 1:
            return self.reward[:, 0]
        return np.einsum("aks,aks->as", self.probability, self.reward)

    def dense(self) -> tuple[np.ndarray, np.ndarray]:
        """The textbook's arrays, for small models: P [actions, states, states] and R [states, actions]."""
        p = np.zeros((self.actions, self.states, self.states), self.probability.dtype)
        action, _, state = np.ogrid[: self.actions, : self.outcomes, : self.states]
        np.add.at(p, (action, state, self.successor), self.probability)
        return p, self.expected_reward().T.copy()

    def astype(self, dtype: Any) -> MDP:
        """The same in float32 or float64; probabilities are made to sum to 1 in the new precision."""
        if self.probability.dtype == dtype:
            return self
        probability = self.probability.astype(dtype)
        total = probability.sum(axis=1, keepdims=True)
        np.divide(probability, total, out=probability, where=total > 0)
        start = self.start
        if start is not None:
            start = start.astype(dtype)
            start = start / start.sum()
        return self.replace(probability=probability, reward=self.reward.astype(dtype), start=start, check=False)

    def replace(self, **changes: Any) -> MDP:
        """The same with some fields changed, checked anew unless `check=False`."""
        return dataclasses.replace(self, **changes)


def in_words(nbytes: int) -> str:
    """A number of bytes for people: 1202590843 -> "1.12 GiB"."""
    size, unit = float(nbytes), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{nbytes} bytes" if unit == "bytes" else f"{size:.2f} {unit}"
