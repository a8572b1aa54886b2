"""Stretches of experience for learners with a memory (Kapturowski et al., 2019, https://openreview.net/forum?id=r1lyTjAqYX)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Transition
from bellmax.experience import frames, ring
from bellmax.experience.experience import Experience
from bellmax.experience.ring import Ring
from bellmax.ranges import Count, Whole


class Sequences(Experience):
    """The last `capacity` steps; every batch [burn_in + window, batch] is drawn from them evenly, with replacement.

    A sample is a stretch of steps that follow each other in one environment. Its first `burn_in` steps weigh 0: they
    are there to warm up the memory. It goes on over the end of an episode: the learner begins with a new memory behind
    `last`. The memory before a step is in the batch if `act` puts it into its extras; it is as old as the step.
    """

    capacity: Count = 100_000  # steps kept, all environments together
    batch: Count = 32  # stretches in a batch
    window: Count = 20  # steps of a stretch that are learned from
    burn_in: Whole = 10  # steps before those
    length: Count = 1  # steps of every environment between learning
    updates: Count = 1  # batches learned from in a row
    start: Whole = 1_000  # steps collected before the first update
    frames: Whole = 0  # images are stacks of so many frames, each kept once; 0 keeps observations as they are

    @property
    def replays(self) -> bool:
        return True

    def train_ratio(self, num_envs: int) -> float:
        """How often a step is learned from, on average: steps in the batches of a round, over steps collected in it."""
        return self.updates * self.batch * self.window / (self.length * num_envs)

    def waits(self, num_envs: int) -> int:
        return ring.waits(self.start, num_envs, self.length, self.burn_in + self.window)

    def empty(self, example: Transition, num_envs: int) -> Ring:
        rows = ring.rows_for("Sequences", self.capacity, num_envs, self.length, self.burn_in + self.window)
        film = frames.empty("Sequences", self.frames, example.obs, rows, num_envs, self.length)
        return ring.empty(example, rows, num_envs, film)

    def bytes(self, example: Transition, num_envs: int) -> int:
        """The memory that the buffer will take."""
        return ring.size_in_bytes(jax.eval_shape(lambda: self.empty(example, num_envs)))

    def add(self, buffer: Ring, fresh: Transition) -> Ring:
        return ring.write(buffer, fresh)

    def interrupt(self, buffer: Ring) -> Ring:
        """The buffer after which other episodes begin: what is added next does not follow its newest steps."""
        return ring.interrupt(buffer)

    def sample(self, buffer: Ring, fresh: Transition, key: Array) -> Transition:
        first, env = ring.draw(buffer, key, self.batch, self.burn_in + self.window)
        batch = ring.clocked(buffer, ring.windows(buffer, first, env, self.burn_in + self.window))
        learned = jnp.arange(len(batch.weight)) >= self.burn_in
        return batch._replace(weight=batch.weight * learned[:, None])
