"""Hindsight experience replay (Andrychowicz et al., 2017), https://arxiv.org/abs/1707.01495.

Whatever was reached might have been the goal: a stored step is learned from as if its episode had been after a goal
that was achieved in it, with the reward that it would have had then (section 3.3). With probability k / (k + 1) the
goal of a sample is such a one (section 4.5: k replayed with another goal for each with its own).

Beyond the paper: goals are drawn anew whenever a step is sampled, not once when it is stored; samples may be windows of
n steps, which get one goal together.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen, Transition
from bellmax.experience import ring
from bellmax.experience.experience import Experience
from bellmax.experience.ring import Ring
from bellmax.ranges import Count, NonNegative, Whole

NAMES = "observation", "achieved_goal", "desired_goal"


class GoalReward(Frozen):
    """What a step is worth that achieved one goal [...] when another [...] was desired. Subclasses are such rules."""

    def __call__(self, achieved: Any, desired: Any) -> tuple[Array, Array]:
        """-> reward, discount, one number each."""
        raise NotImplementedError


class WithinDistance(GoalReward):
    """0 where the goal is not further away than `distance`, else -1: the Fetch and Hand tasks of Plappert et al., 2018.

    https://arxiv.org/abs/1802.09464, section 1.1.
    """

    distance: NonNegative = 0.05  # Euclidean, in the goal's units
    terminates: bool = False  # is the episode over when the goal is reached?

    def __call__(self, achieved: Any, desired: Any) -> tuple[Array, Array]:
        return _sparse(jnp.linalg.norm(achieved - desired) <= self.distance, self.terminates)


class Equal(GoalReward):
    """0 where the goal is met exactly, else -1: bit flipping (section 3.1)."""

    terminates: bool = False  # is the episode over when the goal is reached?

    def __call__(self, achieved: Any, desired: Any) -> tuple[Array, Array]:
        return _sparse(jnp.all(achieved == desired), self.terminates)


def _sparse(reached: Array, terminates: bool) -> tuple[Array, Array]:
    return reached - jnp.float32(1), 1 - jnp.float32(reached & terminates)


class Hindsight(Experience):
    """`Replay` for observations {"observation", "achieved_goal", "desired_goal"}, with goals changed in hindsight.

    The new goal was achieved by a step of the same episode: "future" takes any from the sampled one on, "final" the
    last, "episode" any at all. What is not stored yet, or no more, or further away than `horizon`, is not looked at.
    A step that terminated though its own goal does not make it so is taken to do so whatever the goal.
    """

    capacity: Count = 1_000_000  # steps kept, all environments together
    batch: Count = 256  # windows in a batch
    n: Count = 1  # steps in a window
    length: Count = 1  # steps of every environment between learning
    updates: Count = 1  # batches learned from in a row
    start: Whole = 1_000  # steps collected before the first update
    k: NonNegative = 4.0  # samples with a new goal for each with its own
    goals: Literal["future", "final", "episode"] = "future"  # which goals are taken
    reward: GoalReward = WithinDistance()  # what a step is worth for a goal, and whether it ends there
    horizon: Count = 50  # the most steps an episode has

    @property
    def replays(self) -> bool:
        return True

    def waits(self, num_envs: int) -> int:
        return ring.waits(self.start, num_envs, self.length, self.n)

    def empty(self, example: Transition, num_envs: int) -> Ring:
        if not isinstance(example.obs, dict) or not set(NAMES) <= set(example.obs):
            raise ValueError(
                f"Hindsight: the observation must be a dict with {', '.join(NAMES)}, and is "
                f"{list(example.obs) if isinstance(example.obs, dict) else type(example.obs).__name__}; give Replay."
            )
        rows = ring.rows_for("Hindsight", self.capacity, num_envs, self.length, self.n)
        return ring.empty(example, rows, num_envs)

    def bytes(self, example: Transition, num_envs: int) -> int:
        """The memory that the buffer will take."""
        return ring.size_in_bytes(jax.eval_shape(lambda: self.empty(example, num_envs)))

    def add(self, buffer: Ring, fresh: Transition) -> Ring:
        return ring.write(buffer, fresh)

    def interrupt(self, buffer: Ring) -> Ring:
        """The buffer after which other episodes begin: what is added next does not follow its newest steps."""
        return ring.interrupt(buffer)

    def sample(self, buffer: Ring, fresh: Transition, key: Array) -> Transition:
        window_key, goal_key, change_key = jax.random.split(key, 3)
        first, env = ring.draw(buffer, window_key, self.batch, self.n)
        batch = ring.within_episode(ring.windows(buffer, first, env, self.n))
        relabelled = self.relabel(batch, self.goal(buffer, first, env, goal_key))
        changed = jax.random.uniform(change_key, (self.batch,)) * (self.k + 1) < self.k
        batch = jax.tree.map(lambda new, old: jnp.where(_broad(changed, old), new, old), relabelled, batch)
        return ring.clocked(buffer, batch)

    def goal(self, buffer: Ring, first: Array, env: Array, key: Array) -> Any:
        """A goal that was achieved in the episode of row number `first` [batch] of column `env` -> [batch, ...]."""
        achieved = self.same_episode(buffer, first, env)
        count = achieved.sum(0)
        place = jnp.where(self.goals == "final", count - 1, jax.random.randint(key, count.shape, 0, count))
        ahead = jnp.argmax(jnp.cumsum(achieved, axis=0) > place, axis=0) - self.behind
        row = (first + ahead) % buffer.steps.reward.shape[0]
        return jax.tree.map(lambda x: x[row, env], buffer.steps.next_obs["achieved_goal"])

    @property
    def behind(self) -> int:
        """How many rows to look back."""
        return self.horizon - 1 if self.goals == "episode" else 0

    def same_episode(self, buffer: Ring, first: Array, env: Array) -> Array:
        """Which rows around `first`, from `behind` before it on, are held and of its episode? [around, batch]."""
        around = jnp.arange(-self.behind, self.horizon)[:, None]
        number, rows = first + around, buffer.steps.reward.shape[0]
        last = buffer.steps.last[number % rows, env]
        since = jnp.cumsum(jnp.where(around >= 0, last, 0), axis=0) - last  # ends from `first` on to before the row
        until = jnp.cumsum(jnp.where(around < 0, last, 0)[::-1], axis=0)[::-1]  # ends from the row on to before `first`
        held = (number < buffer.written) & (number >= jnp.maximum(buffer.written - rows, 0))
        of_episode = jnp.where(around >= 0, since == 0, until == 0)
        return held & of_episode & (buffer.steps.weight[number % rows, env] > 0)

    def relabel(self, batch: Transition, goal: Any) -> Transition:
        """The windows [n, batch] as if `goal` [batch, ...] had been desired."""
        achieved = batch.next_obs["achieved_goal"]
        desired = jax.tree.map(lambda x, old: jnp.broadcast_to(x, old.shape), goal, batch.obs["desired_goal"])
        judge = jax.vmap(jax.vmap(self.reward))
        reward, discount = judge(achieved, desired)
        own_discount = judge(achieved, batch.next_obs["desired_goal"])[1]
        discount = jnp.where((batch.discount == 0) & (own_discount != 0), 0.0, discount)
        obs, next_obs = ({**x, "desired_goal": desired} for x in (batch.obs, batch.next_obs))
        return batch._replace(obs=obs, next_obs=next_obs, reward=reward, discount=discount)


def _broad(mask: Array, like: Array) -> Array:
    """mask [batch] for arrays [n, batch, ...]."""
    return mask.reshape(1, -1, *[1] * (like.ndim - 2))
