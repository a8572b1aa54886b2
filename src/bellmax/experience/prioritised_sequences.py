"""Prioritised stretches of experience (Kapturowski et al., 2019), https://openreview.net/forum?id=r1lyTjAqYX.

As `Sequences`, but a stretch is drawn with probability p^alpha / sum p^alpha, and weighs (N P)^-beta over the largest
of its batch, as in `Prioritised`. What p is, the learner says: in the paper 0.9 times the largest and 0.1 times the
mean absolute TD error of the stretch (section 2.3).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Transition
from bellmax.experience import frames, ranked, ring
from bellmax.experience.experience import Experience
from bellmax.experience.ranked import Ranked
from bellmax.maths.schedules import Scheduled, at
from bellmax.ranges import Count, Positive, Unit, Whole


class PrioritisedSequences(Experience):
    """The last `capacity` steps; stretches [burn_in + window, batch] that surprise are drawn more often and weigh less.

    The algorithm must report the metric "priority", [batch]. Otherwise as `Sequences`.
    """

    capacity: Count = 100_000  # steps kept, all environments together
    batch: Count = 32  # stretches in a batch
    window: Count = 20  # steps of a stretch that are learned from
    burn_in: Whole = 10  # steps before those
    length: Count = 1  # steps of every environment between learning
    updates: Count = 1  # batches learned from in a row
    start: Whole = 1_000  # steps collected before the first update
    alpha: Unit = 0.9  # 0 draws evenly, 1 in proportion to the priority
    beta: Scheduled = 0.6  # 1 makes up for all of the uneven drawing
    epsilon: Positive = 1e-6  # added to a priority, so that none is 0
    frames: Whole = 0  # images are stacks of so many frames, each kept once; 0 keeps observations as they are

    @property
    def replays(self) -> bool:
        return True

    @property
    def weighs(self) -> bool:
        return True

    @property
    def span(self) -> int:
        """Steps in a stretch."""
        return self.burn_in + self.window

    def waits(self, num_envs: int) -> int:
        return ring.waits(self.start, num_envs, self.length, self.span)

    def empty(self, example: Transition, num_envs: int) -> Ranked:
        rows = ring.rows_for("PrioritisedSequences", self.capacity, num_envs, self.length, self.span + self.length)
        film = frames.empty("PrioritisedSequences", self.frames, example.obs, rows, num_envs, self.length)
        return ranked.empty(ring.empty(example, rows, num_envs, film))

    def bytes(self, example: Transition, num_envs: int) -> int:
        """The memory that the buffer will take."""
        return ring.size_in_bytes(jax.eval_shape(lambda: self.empty(example, num_envs)))

    def interrupt(self, buffer: Ranked) -> Ranked:
        """The buffer after which other episodes begin: what is added next does not follow its newest steps."""
        return ranked.interrupt(buffer)

    def add(self, buffer: Ranked, fresh: Transition) -> Ranked:
        return ranked.write(buffer, fresh, self.span, self.alpha)

    def sample(self, buffer: Ranked, fresh: Transition, key: Array) -> Transition:
        batch, leaf = ranked.draw(buffer, key, self.batch, self.span)
        learned = jnp.arange(self.span)[:, None] >= self.burn_in
        weight = ranked.weights(buffer, leaf, at(self.beta, batch.extras["steps"][0, 0]))
        return batch._replace(weight=batch.weight * learned * weight)

    def reweigh(self, buffer: Ranked, batch: Transition, priority: Array) -> Ranked:
        there = (batch.weight > 0).any(axis=0)  # not so where its frames are gone
        return ranked.reweigh(buffer, batch.extras["leaf"][0], there, priority, self.alpha, self.epsilon)
