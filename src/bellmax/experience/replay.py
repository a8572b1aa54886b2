"""Uniform experience replay (Lin, 1992; Mnih et al., 2015, https://doi.org/10.1038/nature14236).

Where it begins with logged steps, `symmetric` draws as many of those as of its own, however many there are of either:
symmetric sampling (Ball et al., 2023, https://arxiv.org/abs/2302.02948, section 4.1).
"""

from __future__ import annotations

import jax
from jax import Array

from bellmax.core import Transition
from bellmax.experience import frames, ring
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
    frames: Whole = 0  # images are stacks of so many frames, each kept once; 0 keeps observations as they are
    symmetric: bool = False  # half of each batch from logged steps, half from those of its own, where there are both

    @property
    def replays(self) -> bool:
        return True

    def waits(self, num_envs: int) -> int:
        return ring.waits(self.start, num_envs, self.length, self.n)

    def empty(self, example: Transition, num_envs: int) -> Ring:
        rows = ring.rows_for("Replay", self.capacity, num_envs, self.length, self.n)
        return ring.empty(
            example, rows, num_envs, frames.empty("Replay", self.frames, example.obs, rows, num_envs, self.length)
        )

    def bytes(self, example: Transition, num_envs: int) -> int:
        """The memory that the buffer will take."""
        return ring.size_in_bytes(jax.eval_shape(lambda: self.empty(example, num_envs)))

    def add(self, buffer: Ring, fresh: Transition) -> Ring:
        return ring.write(buffer, fresh)

    def interrupt(self, buffer: Ring) -> Ring:
        """The buffer after which other episodes begin: what is added next does not follow its newest steps."""
        return ring.interrupt(buffer)

    def sample(self, buffer: Ring, fresh: Transition, key: Array) -> Transition:
        first, env = ring.draw(buffer, key, self.batch, self.n, self.symmetric)
        return ring.clocked(buffer, ring.within_episode(ring.windows(buffer, first, env, self.n)))
