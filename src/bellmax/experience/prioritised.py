"""Prioritised experience replay (Schaul et al., 2016), https://arxiv.org/abs/1511.05952, the proportional variant.

Window i is drawn with probability P(i) = p_i^alpha / sum_k p_k^alpha (eq. 1), p = |td_error| + epsilon when it was
last learned from and the largest ever seen when it is new; its weight is (N P(i))^-beta, divided by the batch's largest
(section 3.4). A batch takes one sample from each of `batch` equal shares of the total (section 3.3). `beta` rises to 1.
"""

from __future__ import annotations

import jax
from jax import Array

from bellmax.core import Transition
from bellmax.experience import frames, ranked, ring
from bellmax.experience.experience import Experience
from bellmax.experience.ranked import Ranked
from bellmax.maths.schedules import Linear, Scheduled, at
from bellmax.ranges import Count, Positive, Unit, Whole


class Prioritised(Experience):
    """The last `capacity` steps; surprising ones are replayed more often, and weigh less. Otherwise as `Replay`.

    The algorithm must report the metric "priority", [batch]: the absolute TD error, or another measure of surprise.
    """

    capacity: Count = 100_000  # steps kept, all environments together
    batch: Count = 128  # windows in a batch
    n: Count = 1  # steps in a window
    length: Count = 1  # steps of every environment between learning
    updates: Count = 1  # batches learned from in a row
    start: Whole = 1_000  # steps collected before the first update
    alpha: Unit = 0.6  # 0 draws evenly, 1 in proportion to the priority
    beta: Scheduled = Linear(0.4, 1.0)  # 1 makes up for all of the uneven drawing
    epsilon: Positive = 1e-6  # added to a priority, so that none is 0
    frames: Whole = 0  # images are stacks of so many frames, each kept once; 0 keeps observations as they are

    @property
    def replays(self) -> bool:
        return True

    @property
    def weighs(self) -> bool:
        return True

    def waits(self, num_envs: int) -> int:
        return ring.waits(self.start, num_envs, self.length, self.n)

    def empty(self, example: Transition, num_envs: int) -> Ranked:
        rows = ring.rows_for("Prioritised", self.capacity, num_envs, self.length, self.n + self.length)
        film = frames.empty("Prioritised", self.frames, example.obs, rows, num_envs, self.length)
        return ranked.empty(ring.empty(example, rows, num_envs, film))

    def bytes(self, example: Transition, num_envs: int) -> int:
        """The memory that the buffer will take."""
        return ring.size_in_bytes(jax.eval_shape(lambda: self.empty(example, num_envs)))

    def interrupt(self, buffer: Ranked) -> Ranked:
        """The buffer after which other episodes begin: what is added next does not follow its newest steps."""
        return ranked.interrupt(buffer)

    def add(self, buffer: Ranked, fresh: Transition) -> Ranked:
        return ranked.write(buffer, fresh, self.n, self.alpha)

    def sample(self, buffer: Ranked, fresh: Transition, key: Array) -> Transition:
        batch, leaf = ranked.draw(buffer, key, self.batch, self.n)
        batch = ring.within_episode(batch)
        beta = at(self.beta, batch.extras["steps"][0, 0])
        return batch._replace(weight=batch.weight * ranked.weights(buffer, leaf, beta))

    def reweigh(self, buffer: Ranked, batch: Transition, priority: Array) -> Ranked:
        there = batch.weight[0] > 0  # not so where its frames are gone
        return ranked.reweigh(buffer, batch.extras["leaf"][0], there, priority, self.alpha, self.epsilon)
