"""Logged steps: all there is to learn from was collected before (Lange et al., 2012; Levine et al., 2020).

https://arxiv.org/abs/2005.01643
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Transition
from bellmax.experience import ring
from bellmax.experience.experience import Experience
from bellmax.ranges import Count


class Log(NamedTuple):
    """Steps [steps, ...], an episode's behind each other; the last step of all has `last`.

    `extras` has what can be said of a step before anything is learned: "return_to_go", the sum of the rewards from it
    to its episode's end, and "time", its number in its episode.
    """

    steps: Transition
    learned: Any = np.int32(0)  # updates so far: the clock of every schedule


class Dataset(Experience):
    """Logged steps; every batch [n, batch] is drawn from all of them evenly, with replacement. Nothing is collected.

    A sample is a window of `n` steps that follow each other in one episode, with weight 0 where there are none: behind
    the episode's end, or, with `pad` "before", in front. `fold` makes an n-step transition of a window of the former
    kind. The buffer is a `Log`, and stays as it is; a run's steps are its updates.
    """

    batch: Count = 256  # windows in a batch
    n: Count = 1  # steps in a window
    pad: Literal["behind", "before"] = "behind"  # on which side windows are filled up that an episode's end cuts
    updates: Count = 1  # batches learned from in a row

    @property
    def length(self) -> int:
        return 0

    @property
    def replays(self) -> bool:
        return True

    @property
    def logged(self) -> bool:
        return True

    def empty(self, example: Transition, num_envs: int) -> Any:
        raise ValueError(
            f"experience = {self!r}: it learns from logged steps and there are none; pass data=... (--data), such as "
            "a file that bellmax.collect has written, or give experience=Replay() to learn from steps of its own."
        )

    def sample(self, buffer: Log, fresh: Transition, key: Array) -> Transition:
        count = buffer.steps.reward.shape[0]
        rows = jax.random.randint(key, (self.batch,), 0, count) + jnp.arange(self.n)[:, None]
        batch = jax.tree.map(lambda x: jnp.asarray(x)[jnp.minimum(rows, count - 1)], buffer.steps)
        clock = jnp.full(batch.reward.shape, jnp.float32(buffer.learned))
        batch = ring.within_episode(batch)._replace(extras={**batch.extras, "steps": clock})
        return batch if self.pad == "behind" else shifted(batch)


def shifted(batch: Transition) -> Transition:
    """Windows [n, batch] moved back in time until what weighs nothing stands in front: nothing else changes."""
    gone = (batch.weight == 0).sum(0)
    rows = (jnp.arange(batch.weight.shape[0])[:, None] - gone) % batch.weight.shape[0]
    return jax.tree.map(lambda x: x[rows, jnp.arange(x.shape[1])], batch)


def log(steps: Transition) -> Log:
    """Steps [steps, ...] in the order of time, episode behind episode, as NumPy -> what `Dataset` learns from.

    The last step of all becomes an episode's `last`. Whatever extras there were are gone.
    """
    last: Any = np.array(steps.last, bool)
    last[-1] = True
    begins = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    lengths = np.diff(np.append(begins, len(last)))
    time = np.arange(len(last)) - np.repeat(begins, lengths)
    total = np.cumsum(np.float64(steps.reward))
    end = total[begins + lengths - 1]  # what an episode and all before it were paid
    to_go = np.repeat(end, lengths) - total + steps.reward
    extras = {"return_to_go": np.float32(to_go), "time": np.int32(time)}
    return Log(steps._replace(last=last, extras=extras))
