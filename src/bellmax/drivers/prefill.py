"""Offline, then online: logged steps that stand in the replay buffer before a run takes its first step.

The run is then the one that had collected them, in rounds that only collect: its algorithm has observed them and its
experience has stored them, in order, and it waits with learning (`Experience.waits`) only for what is still missing.
The clock of schedules does not count them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from bellmax.core import Algorithm, Spec, Transition
from bellmax.drivers.learn import eats, example_transition
from bellmax.experience import ring

PIECE = 4096  # steps that are on the device beside the buffer


def prefilled(algorithm: Algorithm, run: Any, steps: Transition, num_envs: int) -> Any:
    """A fresh run of `ingraph` or `fused` with logged steps [steps, ...] in its buffer. The fresh one is used up."""
    for fresh in in_rounds(steps, eats(algorithm).length, num_envs):
        state, buffer = _observed(algorithm, run.state, fresh), _stored(algorithm, run.buffer, fresh)
        run = run._replace(state=state, buffer=buffer, round=run.round + len(fresh.reward))
    return run._replace(buffer=ring.logged_so_far(run.buffer))


def in_rounds(steps: Transition, length: int, num_envs: int) -> Iterator[Transition]:
    """Logged steps [steps, ...], episode behind episode -> [round, length, env, ...], some rounds at a time.

    Every environment gets a stretch of them, as long as the others' or a step shorter, and at its end a cut. What is
    missing in the first rounds is padding.
    """
    count = len(steps.reward)
    last: Any = np.array(steps.last)
    rows = -(-count // (num_envs * length)) * length
    place = np.full((rows, num_envs), -1)
    for env, stretch in enumerate(np.array_split(np.arange(count), num_envs)):
        place[rows - len(stretch) :, env] = stretch
        last[stretch[-1:]] = True
    steps, rounds = steps._replace(last=last, extras={}), place.reshape(-1, length, num_envs)
    for part in np.array_split(rounds, min(-(-place.size // PIECE), len(rounds))):
        there = part >= 0
        taken = jax.tree.map(lambda x: np.asarray(x)[part], steps)  # noqa: B023
        weight, reward = (np.float32(x * there) for x in (taken.weight, taken.reward))
        yield taken._replace(last=taken.last | ~there, reward=reward, weight=weight)


def check(algorithm: Algorithm, spec: Spec, count: int) -> None:
    """ValueError unless the algorithm can begin with so many logged steps in its buffer."""
    experience, name = eats(algorithm), type(algorithm).__name__

    def begin() -> Any:
        example = example_transition(algorithm, algorithm.init(jax.random.key(0), spec), spec)
        return experience.empty(example, spec.num_envs)

    buffer = ring.of(jax.eval_shape(begin))
    if jax.tree.leaves(buffer.steps.extras):
        raise ValueError(
            f"data: {name} keeps with every step what it had in mind ({', '.join(buffer.steps.extras)}), which logged "
            "steps do not have: leave data out, or take an algorithm that learns from steps alone, such as SAC or DQN."
        )
    rows, length = buffer.steps.reward.shape[0], experience.length
    needed = -(-count // (spec.num_envs * length)) * length
    if needed > rows:
        raise ValueError(
            f"data: {count:,} logged steps do not fit into {name}.experience.capacity = {rows * spec.num_envs:,}; give "
            f"at least {needed * spec.num_envs:,}, and room for the steps that are to join them, or fewer data."
        )


@functools.partial(jax.jit, donate_argnums=1)
def _stored(algorithm: Algorithm, buffer: Any, rounds: Transition) -> Any:
    return jax.lax.scan(lambda buffer, fresh: (eats(algorithm).add(buffer, fresh), None), buffer, rounds)[0]


@jax.jit
def _observed(algorithm: Algorithm, state: Any, rounds: Transition) -> Any:
    return jax.lax.scan(lambda state, fresh: (algorithm.observe(state, fresh), None), state, rounds)[0]
