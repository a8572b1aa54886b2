"""A model as the compiler wants it: on the device, without what need not be read.

A sweep is limited by the memory it reads. In most large models an action leads from state s to s + c, c the same
nearly everywhere: a step on a grid, with the states at its edges staying where they are. Then no table of successors
is read at all: the values are read c further on, a contiguous slice. A state that stays gains nothing by it, so that
its chance of staying is set to 0 and read as "nothing gained" (`sweeps` adds up what is gained). The few states that
are unlike the others (teleports) are done again by a table of their own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.mdp.model import MDP

Kind = Literal["shifted", "gathered", "dense"]
SHIFTED_FROM = 4096  # states: below, a table is as fast, and one compiled program serves all models of its size
FEW = 50  # one state in FEW may be unlike the others
UNROLLED = 64  # actions x outcomes: beyond, a loop instead of one long expression


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "probability",
        "reward",
        "gamma",
        "absorbing",
        "successor",
        "missing",
        "odd",
        "odd_next",
        "odd_chance",
    ],
    meta_fields=["kind", "shifts"],
)
@dataclass(frozen=True)
class Model:
    """What a sweep reads. Fields that a kind does not need are empty."""

    probability: Array  # [actions, outcomes, states]; of "shifted", 0 for what stays
    reward: Array  # [actions, states], expected, -inf where illegal; or [1, states] where actions do not matter
    gamma: Array
    absorbing: Array  # bool [states]
    successor: Array  # [actions, outcomes, states], without sign so that none is looked at for one, of "gathered"
    missing: (
        Array  # [actions, states] by how much probabilities fall short of 1, of "shifted" for the last word; or empty
    )
    odd: Array  # the states that are unlike the others, of "shifted"
    odd_next: Array  # their successors [actions, outcomes, odd]
    odd_chance: Array  # their probabilities
    kind: Kind
    shifts: tuple[tuple[int, ...], ...] = ()  # [actions][outcomes] how many states ahead, of "shifted"

    def exactly(self, reward: np.ndarray, gamma: float, missing: np.ndarray) -> Model:
        """The same in float64, for within `precision`: nothing rounded, and probabilities as they are."""
        reward = reward[:1] if len(self.reward) == 1 else reward
        return replace(
            self, reward=jnp.asarray(reward), gamma=jnp.asarray(gamma, jnp.float64), missing=jnp.asarray(missing)
        )

    def with_reward(self, reward: Any) -> Model:
        """The same model paying something else, [actions, states]."""
        return replace(self, reward=reward)


def prepare(mdp: MDP, kind: Kind | None = None) -> Model:
    """The model on the device, in its own precision; `kind` None chooses what is the fastest.

    Raises ValueError if the kind does not suit: "dense" needs outcome k to lead to state k everywhere.
    """
    shifts: tuple[tuple[int, ...], ...] = ()
    probability, odd = mdp.probability, np.zeros(0, np.int32)
    if kind is None and _is_dense(mdp):
        kind = "dense"
    elif kind == "shifted" or (kind is None and _is_large(mdp)):
        found = _shifted(mdp)
        if kind == "shifted" or len(found[2]) <= mdp.states // FEW:
            kind, (shifts, probability, odd) = "shifted", found
    kind = kind or "gathered"
    if kind == "dense" and not _is_dense(mdp):
        raise ValueError("kind = 'dense': the model is not, outcome k does not lead to state k; use 'gathered'.")
    reward = expected_reward(mdp).astype(mdp.probability.dtype)
    with precision(mdp.probability.dtype):
        return Model(
            probability=jnp.asarray(probability),
            reward=jnp.asarray(reward[:1] if (reward == reward[0]).all() else reward),
            gamma=jnp.asarray(mdp.gamma, mdp.probability.dtype),
            absorbing=jnp.asarray(mdp.absorbing),
            successor=jnp.asarray(_unsigned(mdp.successor if kind == "gathered" else mdp.successor[:0])),
            missing=jnp.zeros((0,)),
            odd=jnp.asarray(_unsigned(odd)),
            odd_next=jnp.asarray(_unsigned(mdp.successor[:, :, odd])),
            odd_chance=jnp.asarray(mdp.probability[:, :, odd]),
            kind=kind,
            shifts=shifts,
        )


def expected_reward(mdp: MDP) -> np.ndarray:
    """float64 [actions, states]: what an action pays on average; -inf where it is illegal."""
    if mdp.reward.shape[1] == 1:
        reward = mdp.reward[:, 0].astype(np.float64)
    else:
        reward = np.einsum("aks,aks->as", mdp.probability, mdp.reward, dtype=np.float64)
    if mdp.legal is not None:
        reward[~(mdp.legal.T | mdp.absorbing)] = -np.inf
    reward[:, mdp.absorbing] = 0
    return reward


@contextlib.contextmanager
def precision(dtype: Any) -> Iterator[None]:
    """Within it, JAX computes in this precision: float64 is switched on for a while, never for the whole program."""
    if np.dtype(dtype) != np.float64:
        yield
        return
    try:
        switch: Any = getattr(jax, "enable_x64")  # noqa: B009 - jax before 0.8 has it elsewhere
    except AttributeError:
        switch = getattr(jax.experimental, "enable_x64")  # noqa: B009
    with switch(True):
        yield


def _is_large(mdp: MDP) -> bool:
    return mdp.states >= SHIFTED_FROM and mdp.actions * mdp.outcomes <= UNROLLED


def _is_dense(mdp: MDP) -> bool:
    states = np.arange(mdp.states, dtype=np.int32)[:, None]
    return mdp.outcomes == mdp.states > 1 and bool((mdp.successor == states).all())


def missing(mdp: MDP) -> np.ndarray:
    """By how much the probabilities of a row fall short of 1, rounding: float32 [actions, states]."""
    total = np.ones((mdp.actions, mdp.states))
    for outcome in range(mdp.outcomes):
        total -= mdp.probability[:, outcome]
    return total.astype(np.float32)


def _aligned(array: np.ndarray) -> np.ndarray:
    """A copy that begins where JAX can use it without copying it again."""
    memory = np.empty(array.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _unsigned(states: np.ndarray) -> np.ndarray:
    """Numbers of states without a sign, so that a look-up need not ask for it."""
    return np.ascontiguousarray(states).view(np.uint32)


def _shifted(mdp: MDP) -> tuple[tuple[tuple[int, ...], ...], np.ndarray, np.ndarray]:
    """-> the shifts, the probabilities of leaving the state by them, and the states that are unlike the others."""
    here = np.arange(mdp.states, dtype=np.int32)
    sample = np.random.default_rng(0).integers(mdp.states, size=2048)
    probability, odd = _aligned(mdp.probability), np.zeros(mdp.states, bool)
    shifts = np.zeros((mdp.actions, mdp.outcomes), int)
    for action, outcome in np.ndindex(shifts.shape):
        moved, chance = mdp.successor[action, outcome] - here, probability[action, outcome]
        chance[(moved == 0) | mdp.absorbing] = 0
        shifts[action, outcome] = _most_frequent(moved[sample][chance[sample] > 0])
        odd |= (chance > 0) & (moved != shifts[action, outcome])
    return tuple(map(tuple, shifts.tolist())), probability, np.flatnonzero(odd).astype(np.int32)


def _most_frequent(numbers: np.ndarray) -> int:
    """The number that occurs most, 0 among none."""
    values, counts = np.unique(numbers, return_counts=True)
    return int(values[counts.argmax()]) if len(values) else 0
