"""Prioritised experience replay (Schaul et al., 2016), https://arxiv.org/abs/1511.05952, the proportional variant.

Window i is drawn with probability P(i) = p_i^alpha / sum_k p_k^alpha (eq. 1), p = |td_error| + epsilon when it was
last learned from and the largest ever seen when it is new; its weight is (N P(i))^-beta, divided by the batch's largest
(section 3.4). A batch takes one sample from each of `batch` equal shares of the total (section 3.3). `beta` rises to 1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Transition
from bellmax.experience import frames, ring, sum_tree
from bellmax.experience.experience import Experience
from bellmax.experience.ring import Ring
from bellmax.experience.sum_tree import SumTree
from bellmax.maths.schedules import Linear, Scheduled, at
from bellmax.ranges import Count, Positive, Unit, Whole


class Ranked(NamedTuple):
    """The steps, and how much is to be learned from the window that begins at each."""

    ring: Ring
    tree: SumTree  # p^alpha; leaf row * num_envs + env
    highest: Array  # the largest p so far


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
        steps = ring.empty(example, rows, num_envs, film)
        return Ranked(steps, sum_tree.empty(rows * num_envs), jnp.ones(()))

    def bytes(self, example: Transition, num_envs: int) -> int:
        """The memory that the buffer will take."""
        return ring.size_in_bytes(jax.eval_shape(lambda: self.empty(example, num_envs)))

    def interrupt(self, buffer: Ranked) -> Ranked:
        """The buffer after which other episodes begin: what is added next does not follow its newest steps."""
        return buffer._replace(ring=ring.interrupt(buffer.ring))

    def add(self, buffer: Ranked, fresh: Transition) -> Ranked:
        steps = ring.write(buffer.ring, fresh)
        (length, num_envs), written = fresh.reward.shape, buffer.ring.written
        rows, ahead = steps.steps.reward.shape[0], jnp.arange(length)
        # What was written begins no whole window yet, and what began before it does now, unless it is padding.
        tree = sum_tree.put(buffer.tree, _leaves(written + ahead, rows, num_envs), jnp.zeros(length * num_envs))
        begun = written + ahead - (self.n - 1)
        whole = steps.steps.weight[begun % rows] > 0  # it is 0 where nothing was written yet, too
        value = jnp.where(whole, buffer.highest**self.alpha, 0.0).reshape(-1)
        return Ranked(steps, sum_tree.put(tree, _leaves(begun, rows, num_envs), value), buffer.highest)

    def sample(self, buffer: Ranked, fresh: Transition, key: Array) -> Transition:
        num_envs = fresh.reward.shape[1]
        share = (jnp.arange(self.batch) + jax.random.uniform(key, (self.batch,))) / self.batch
        leaf = sum_tree.find(buffer.tree, share)
        batch = ring.windows(buffer.ring, leaf // num_envs, leaf % num_envs, self.n)
        batch = ring.clocked(buffer.ring, ring.within_episode(batch))
        weight = self.weights(buffer, leaf, batch.extras["steps"][0, 0])
        leaf = jnp.broadcast_to(leaf, batch.reward.shape)
        return batch._replace(weight=batch.weight * weight, extras={**batch.extras, "leaf": leaf})

    def weights(self, buffer: Ranked, leaf: Array, steps: Array) -> Array:
        """(N P)^-beta over the batch's largest -> [batch]."""
        held = jnp.float32(ring.held(buffer.ring)) * buffer.ring.steps.reward.shape[1]
        probability = buffer.tree[0][leaf] / sum_tree.total(buffer.tree)
        weight = (held * probability) ** -at(self.beta, steps)
        return weight / weight.max()

    def reweigh(self, buffer: Ranked, batch: Transition, priority: Array) -> Ranked:
        there = batch.weight[0] > 0  # not so where its frames are gone: such a window is never drawn again
        priority = jnp.where(jnp.isfinite(priority), jnp.abs(priority) + self.epsilon, buffer.highest)
        value = jnp.where(there, priority**self.alpha, 0)
        tree = sum_tree.put(buffer.tree, batch.extras["leaf"][0], value)
        return Ranked(buffer.ring, tree, jnp.maximum(buffer.highest, jnp.where(there, priority, 0).max()))


def _leaves(row: Array, rows: int, num_envs: int) -> Array:
    """The leaves of whole rows [k] -> [k * num_envs]."""
    return ((row % rows)[:, None] * num_envs + jnp.arange(num_envs)).reshape(-1)
