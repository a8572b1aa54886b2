"""Playing episodes one step at a time, the way they are watched."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Outcome
from bellmax.spaces import confine
from bellmax.watch.stages import Stage


class Moment(NamedTuple):
    """What there is to see before the first and after every step of an episode."""

    episode: int  # from 0
    step: int  # steps taken in this episode
    score: float  # the sum of their rewards
    last: bool  # the episode ends here
    picture: np.ndarray | None  # uint8 [height, width, 3]
    text: str | None
    obs: Any = None  # what is seen now
    memory: Any = None  # what the policy remembers as it decides what to do next
    action: Any = None  # what led here; None at first
    outcome: Outcome | None = None  # and what came of it


def play(
    algorithm: Algorithm,
    state: Any,
    stage: Stage,
    *,
    episodes: int = 1,
    seed: int = 0,
    greedy: bool = True,
    most_steps: int = 10_000,
) -> Iterator[Moment]:
    """Play whole episodes, none longer than `most_steps`; a recurrent policy begins each with a fresh memory."""
    algorithm, state = jax.tree.map(jnp.asarray, (algorithm, state))
    for episode in range(episodes):
        begin_key, act_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), episode))
        obs, score = stage.reset(), 0.0
        memory = _begin(algorithm, state, obs, begin_key)
        yield Moment(episode, 0, score, False, stage.picture(), stage.text(), obs, memory)
        for step in range(1, most_steps + 1):
            action, memory = _choose(algorithm, state, obs, memory, act_key, np.int32(step), greedy, stage.action)
            outcome = stage.step(action)
            memory, obs = _hear(algorithm, state, memory, outcome), outcome.obs
            score += float(outcome.reward)
            last = bool(outcome.last) or step == most_steps
            seen = stage.picture(), stage.text(), obs, memory, action, outcome
            yield Moment(episode, step, score, last, *seen)
            if last:
                break


@jax.jit
def _begin(algorithm: Algorithm, state: Any, obs: Any, key: Array) -> Any:
    return algorithm.begin(state, obs, key)


@jax.jit
def _hear(algorithm: Algorithm, state: Any, memory: Any, outcome: Outcome) -> Any:
    return algorithm.hear(state, memory, outcome)


@functools.partial(jax.jit, static_argnames=("greedy", "space"))
def _choose(
    algorithm: Algorithm, state: Any, obs: Any, memory: Any, key: Array, step: Array, greedy: bool, space: Any
) -> tuple[Any, Any]:
    """-> what the environment gets, memory."""
    choose = algorithm.greedy if greedy else algorithm.act
    decision = choose(state, obs, jax.random.fold_in(key, step), memory)
    return confine(space, decision.action), decision.memory
