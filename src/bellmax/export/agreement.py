"""Does a file decide as the policy does? Answers compared on random observations, ties between actions allowed for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.core import Spec
from bellmax.export.failed import ExportFailed
from bellmax.export.flat import Answer, Flat, Named
from bellmax.export.observations import observations

OBSERVATIONS = 64
STEPS = 3  # with memory: how many observations follow one another
TOLERANCE = 1e-5  # of 1 + the size of the number
ROUNDING = 1e-6  # how far weights and observations are shaken to see whether two actions tie
SHAKES = 32


def check(flat: Flat, spec: Spec, answer: Callable[[Named], Named], what: str) -> bool:
    """Raise ExportFailed unless `answer` (of the file called `what`) equals the policy's on 64 random observations.

    Floats may differ by 1e-5 (1 + |x|). A choice may differ only where the policy itself is undecided: where a
    rounding error in its weights or in the observation makes it choose the same. Memories are carried for three steps.
    -> whether the policy draws at random, which a file can only do once and for all.
    """
    policy, keys, random = jax.jit(flat.answer), jax.random.split(jax.random.key(1)), False
    memory: Named = {name: np.repeat(x[None], OBSERVATIONS, 0) for name, x in flat.begin.items()}
    for step in range(STEPS if memory else 1):
        inputs = observations(spec, OBSERVATIONS, seed=step) | memory
        want = jax.device_get(policy(flat.state, jax.random.key(0), inputs))
        _compare(flat, policy, inputs, want, answer(inputs), what)
        if step == 0:  # the batch axis is free
            row = {name: x[:1] for name, x in inputs.items()}
            _compare(flat, policy, row, {name: x[:1] for name, x in want.items()}, answer(row), what)
        others = [jax.device_get(policy(flat.state, key, inputs)) for key in keys]
        random |= any(not np.array_equal(want[name], other[name], equal_nan=True) for other in others for name in want)
        memory = {name: np.asarray(want[f"next_{name}"]) for name in memory}
    return random


def _compare(flat: Flat, policy: Answer, inputs: Named, want: Named, got: Named, what: str) -> None:
    """Raise ExportFailed at the first row that differs."""
    for name, expected in want.items():
        if name not in got:
            raise ExportFailed(f"{what} has no output {name!r}, only {', '.join(got)}.")
        given, expected = np.asarray(got[name]), np.asarray(expected)
        if given.shape != expected.shape or given.dtype != expected.dtype:
            raise ExportFailed(
                f"{what}: output {name!r} is {given.dtype} {given.shape}, "
                f"the policy's is {expected.dtype} {expected.shape}."
            )
        agree = _agree(expected, given)
        if not agree.all() and np.issubdtype(expected.dtype, np.integer):
            agree = agree | _undecided(flat, policy, inputs, name, given)
        if not agree.all():
            raise ExportFailed(_mismatch(what, name, inputs, expected, given, agree))


def _agree(expected: np.ndarray, given: np.ndarray) -> np.ndarray:
    if np.issubdtype(expected.dtype, np.floating):
        return np.isclose(given, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return given == expected


def _undecided(flat: Flat, policy: Answer, inputs: Named, name: str, given: np.ndarray) -> np.ndarray:
    """Where a shake no larger than rounding makes the policy itself choose what was `given`."""
    rng, found = np.random.default_rng(0), np.zeros(given.shape, bool)

    def shake(x: Any) -> Any:
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return x
        noise = rng.standard_normal(x.shape)
        return (np.asarray(x) + ROUNDING * noise * (np.abs(x) + 1e-3)).astype(x.dtype)

    for _ in range(SHAKES):
        state, seen = jax.tree.map(shake, (flat.state, inputs))
        found |= np.asarray(policy(state, jax.random.key(0), seen)[name]) == given
    return found


def _mismatch(what: str, name: str, inputs: Named, expected: np.ndarray, given: np.ndarray, agree: np.ndarray) -> str:
    row = int(np.flatnonzero(~agree.reshape(len(agree), -1).all(1))[0])
    where = {key: np.asarray(x[row]).ravel()[:16].tolist() for key, x in inputs.items()}
    return (
        f"{what} does not decide as the policy does: for {where} (observation {row} of {len(agree)}) the policy's "
        f"{name!r} is {expected[row].tolist()}, the file's {given[row].tolist()}."
    )
