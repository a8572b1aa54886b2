"""A model as the compiler wants it: on the device, without what need not be read.

A sweep is limited by the memory it reads. In most large models an action leads from state s to s + c, c the same
nearly everywhere: a step on a grid, with the few states at its edges staying where they are. Then no table of
successors is read at all: the values are read c further on (a contiguous slice), one bit a state says where the state
stays, and the few states that are unlike (teleports) are done again by a table of their own.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

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


class Shift(NamedTuple):
    """Where an outcome leads: `ahead` states further on, or nowhere from states with the bit `stays` set (-1: none)."""

    ahead: int
    stays: int


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["probability", "reward", "gamma", "absorbing", "successor", "stays", "odd", "odd_next", "odd_chance"],
    meta_fields=["kind", "shifts"],
)
@dataclass(frozen=True)
class Model:
    """What a sweep reads. Fields that a kind does not need are empty."""

    probability: Array  # [actions, outcomes, states]
    reward: Array  # [actions, states], expected; -inf where illegal
    gamma: Array
    absorbing: Array  # bool [states]
    successor: Array  # [actions, outcomes, states], without sign so that none is looked at for one, of "gathered"
    stays: Array  # whole numbers without sign [states], of "shifted": bits
    odd: Array  # the states that are unlike the others, of "shifted"
    odd_next: Array  # their successors [actions, outcomes, odd]
    odd_chance: Array  # their probabilities
    kind: Kind
    shifts: tuple[tuple[Shift, ...], ...] = ()  # [actions][outcomes], of "shifted"

    def with_reward(self, reward: Any) -> Model:
        """The same model paying something else, [actions, states]."""
        return replace(self, reward=reward)

    def with_gamma(self, gamma: Any) -> Model:
        """The same model with another discount."""
        return replace(self, gamma=gamma)


def prepare(mdp: MDP, kind: Kind | None = None) -> Model:
    """The model on the device, in its own precision; `kind` None chooses what is the fastest.

    Raises ValueError if the kind does not suit: "dense" needs outcome k to lead to state k everywhere.
    """
    shifts, stays, odd = _shifts(mdp) if kind == "shifted" or (kind is None and _large(mdp)) else ((), None, None)
    if kind is None:
        few = odd is not None and len(odd) <= mdp.states // FEW
        kind = "dense" if _is_dense(mdp) else "shifted" if few else "gathered"
    if kind == "dense" and not _is_dense(mdp):
        raise ValueError("kind = 'dense': the model is not, outcome k does not lead to state k; use 'gathered'.")
    if kind != "shifted":
        shifts, stays, odd = (), None, None
    with precision(mdp.probability.dtype):
        nothing = jnp.zeros((0,), jnp.uint32)
        return Model(
            probability=jnp.asarray(mdp.probability),
            reward=jnp.asarray(expected_reward(mdp).astype(mdp.probability.dtype)),
            gamma=jnp.asarray(mdp.gamma, mdp.probability.dtype),
            absorbing=jnp.asarray(mdp.absorbing),
            successor=jnp.asarray(mdp.successor.view(np.uint32)) if kind == "gathered" else nothing,
            stays=nothing if stays is None else jnp.asarray(stays),
            odd=nothing if odd is None else jnp.asarray(odd.view(np.uint32)),
            odd_next=nothing if odd is None else jnp.asarray(mdp.successor[:, :, odd].view(np.uint32)),
            odd_chance=nothing if odd is None else jnp.asarray(mdp.probability[:, :, odd]),
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


def _large(mdp: MDP) -> bool:
    return mdp.states >= SHIFTED_FROM and mdp.actions * mdp.outcomes <= UNROLLED


def _is_dense(mdp: MDP) -> bool:
    states = np.arange(mdp.states, dtype=np.int32)[:, None]
    return mdp.outcomes == mdp.states > 1 and bool((mdp.successor == states).all())


def _shifts(mdp: MDP) -> tuple[tuple[tuple[Shift, ...], ...], np.ndarray, np.ndarray]:
    """-> the shifts, the bits of the states that stay, and the states that do neither."""
    here = np.arange(mdp.states, dtype=np.int32)
    sample = np.random.default_rng(0).integers(mdp.states, size=2048)
    width = min(32, mdp.actions * mdp.outcomes)
    stays: np.ndarray = np.zeros(mdp.states, np.uint8 if width <= 8 else np.uint16 if width <= 16 else np.uint32)
    odd, bits = np.zeros(mdp.states, bool), 0
    found: list[Shift] = []
    for action, outcome in np.ndindex(mdp.actions, mdp.outcomes):
        moved = mdp.successor[action, outcome] - here
        counts = (mdp.probability[action, outcome] > 0) & ~mdp.absorbing
        ahead = _most_frequent(moved[sample][counts[sample]])
        unlike = counts & (moved != ahead)
        stay, bit = unlike & (moved == 0), -1
        if stay.any() and bits < width:
            bit, bits = bits, bits + 1
            stays += stay.astype(stays.dtype) << stays.dtype.type(bit)
            unlike = unlike & ~stay
        odd = odd | unlike
        found.append(Shift(ahead, bit))
    rows = math.ceil(len(found) / mdp.actions)
    shifts = tuple(tuple(found[a * rows : (a + 1) * rows]) for a in range(mdp.actions))
    return shifts, stays, np.flatnonzero(odd).astype(np.int32)


def _most_frequent(numbers: np.ndarray) -> int:
    """The number that occurs most, 0 among none."""
    values, counts = np.unique(numbers, return_counts=True)
    return int(values[counts.argmax()]) if len(values) else 0
