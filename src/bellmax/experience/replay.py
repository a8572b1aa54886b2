"""Uniform experience replay (Lin, 1992; Mnih et al., 2015, https://doi.org/10.1038/nature14236)."""

from __future__ import annotations

import jax
from jax import Array

from bellmax.core import Transition
from bellmax.experience import ring
from bellmax.experience.experience import Experience
from bellmax.experience.ring import Ring
from bellmax.ranges import Count, Whole


class Replay(Experience):
    """The last `capacity` steps; every batch [n, batch] is drawn from them evenly, with replacement.

    A sample is a window of `n` steps that follow each other in one environment, with weight 0 behind an episode's end;
    `fold` makes an n-step transition of it. Steps are stored raw. `length` steps of every environment are followed by
    `updates` updates, so that updates to data is updates / (length * num_envs).
    """

    capacity: Count = 100_000  # steps kept, all environments together
    batch: Count = 128  # windows in a batch
    n: Count = 1  # steps in a window
    length: Count = 1  # steps of every environment between learning
    updates: Count = 1  # batches learned from in a row
    start: Whole = 1_000  # steps collected before the first update

    @property
    def replays(self) -> bool:
        return True

    def waits(self, num_envs: int) -> int:
        return ring.waits(self.start, num_envs, self.length, self.n)

    def empty(self, example: Transition, num_envs: int) -> Ring:
        return ring.empty(example, ring.rows_for("Replay", self.capacity, num_envs, self.length, self.n), num_envs)

    def add(self, buffer: Ring, fresh: Transition) -> Ring:
        return ring.write(buffer, fresh)

    def sample(self, buffer: Ring, fresh: Transition, key: Array) -> Transition:
        row_key, env_key = jax.random.split(key)
        rows = ring.held(buffer)
        age = jax.random.randint(row_key, (self.batch,), self.n, rows + 1)  # of the first step; the newest has age 1
        env = jax.random.randint(env_key, (self.batch,), 0, fresh.reward.shape[1])
        batch = ring.windows(buffer, buffer.written - age, env, self.n)
        return ring.clocked(buffer, ring.within_episode(batch))
