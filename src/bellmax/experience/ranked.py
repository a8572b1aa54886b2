"""Windows drawn in proportion to a power of their priority (Schaul et al., 2016), https://arxiv.org/abs/1511.05952.

What prioritised experiences share: a ring of steps, and a tree with p^alpha for the window that begins at each.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Transition
from bellmax.experience import ring, sum_tree
from bellmax.experience.ring import Ring
from bellmax.experience.sum_tree import SumTree


class Ranked(NamedTuple):
    """The steps, and how much is to be learned from the window that begins at each."""

    ring: Ring
    tree: SumTree  # p^alpha; leaf row * num_envs + env
    highest: Array  # the largest p so far


def empty(steps: Ring) -> Ranked:
    """Windows of a ring that holds nothing."""
    return Ranked(steps, sum_tree.empty(steps.steps.reward.size), jnp.ones(()))


def interrupt(buffer: Ranked) -> Ranked:
    """The buffer after which other episodes begin: what is added next does not follow its newest steps."""
    return buffer._replace(ring=ring.interrupt(buffer.ring))


def write(buffer: Ranked, fresh: Transition, span: int, alpha: float) -> Ranked:
    """The buffer with the steps `fresh` [time, env] in it, where a window has `span` steps."""
    steps = ring.write(buffer.ring, fresh)
    (length, num_envs), written = fresh.reward.shape, buffer.ring.written
    rows, ahead = steps.steps.reward.shape[0], jnp.arange(length)
    # What was written begins no whole window yet, and what began before it does now, unless it is padding.
    tree = sum_tree.put(buffer.tree, _leaves(written + ahead, rows, num_envs), jnp.zeros(length * num_envs))
    begun = written + ahead - (span - 1)
    whole = steps.steps.weight[begun % rows] > 0  # it is 0 where nothing was written yet, too
    value = jnp.where(whole, buffer.highest**alpha, 0.0).reshape(-1)
    return Ranked(steps, sum_tree.put(tree, _leaves(begun, rows, num_envs), value), buffer.highest)


def draw(buffer: Ranked, key: Array, batch: int, span: int) -> tuple[Transition, Array]:
    """One window from each of `batch` equal shares of the total (section 3.3) -> [span, batch, ...], leaf [batch]."""
    num_envs = buffer.ring.steps.reward.shape[1]
    share = (jnp.arange(batch) + jax.random.uniform(key, (batch,))) / batch
    leaf = sum_tree.find(buffer.tree, share)
    windows = ring.clocked(buffer.ring, ring.windows(buffer.ring, leaf // num_envs, leaf % num_envs, span))
    return windows._replace(extras={**windows.extras, "leaf": jnp.broadcast_to(leaf, windows.reward.shape)}), leaf


def weights(buffer: Ranked, leaf: Array, beta: Array | float) -> Array:
    """(N P)^-beta over the batch's largest (section 3.4) -> [batch]."""
    held = jnp.float32(ring.held(buffer.ring)) * buffer.ring.steps.reward.shape[1]
    probability = buffer.tree[0][leaf] / sum_tree.total(buffer.tree)
    weight = (held * probability) ** -beta
    return weight / weight.max()


def reweigh(buffer: Ranked, leaf: Array, there: Array, priority: Array, alpha: float, epsilon: float) -> Ranked:
    """The buffer with |priority| + epsilon at the leaves [batch]; those that are not `there` are never drawn again."""
    priority = jnp.where(jnp.isfinite(priority), jnp.abs(priority) + epsilon, buffer.highest)
    tree = sum_tree.put(buffer.tree, leaf, jnp.where(there, priority**alpha, 0))
    return Ranked(buffer.ring, tree, jnp.maximum(buffer.highest, jnp.where(there, priority, 0).max()))


def _leaves(row: Array, rows: int, num_envs: int) -> Array:
    """The leaves of whole rows [k] -> [k * num_envs]."""
    return ((row % rows)[:, None] * num_envs + jnp.arange(num_envs)).reshape(-1)
