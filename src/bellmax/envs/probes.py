"""Probe environments: tiny worlds that each test one thing an algorithm must do.

An algorithm learns each in seconds; the first that it fails says what is wrong. After Jones, Debugging reinforcement
learning systems (https://andyljones.com/posts/rl-debugging.html). Observations are numbers; with `discrete`, those of
the probes that have few are `Discrete`, for tables.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.ranges import Count
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, Space, zeros


class ProbeState(NamedTuple):
    """What this episode is about, and since when it runs."""

    cue: Array
    time: Array  # int32, steps taken


def _begun(key: Array, cues: int) -> ProbeState:
    """A new episode about one of `cues` cues."""
    return ProbeState(jax.random.randint(key, (), 0, cues), jnp.int32(0))


def _ended(state: ProbeState, obs: Any, reward: Any) -> tuple[ProbeState, Outcome]:
    """The only or last step of an episode that terminates."""
    outcome = Outcome(obs, jnp.asarray(reward, jnp.float32), jnp.float32(0), jnp.bool_(True))
    return state._replace(time=state.time + 1), outcome


class OneStep(Env):
    """Abstract: an episode is one step, is about one of `cues` cues, and pays `reward(cue, action)`.

    The observation is the cue: 0 where there is one, -1 or 1 where there are two.
    """

    discrete: bool = False

    cues: ClassVar[int] = 1
    actions: ClassVar[Space] = Discrete(1)

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(self.cues) if self.discrete else Box((1,), -1.0, 1.0), self.actions)

    def reset(self, key: Array) -> tuple[ProbeState, Array]:
        state = _begun(key, self.cues)
        return state, self._sight(state.cue)

    def step(self, env_state: ProbeState, action: Array, key: Array) -> tuple[ProbeState, Outcome]:
        return _ended(env_state, self._sight(env_state.cue), self.reward(env_state.cue, action))

    def reward(self, cue: Array, action: Array) -> Array | float:
        raise NotImplementedError

    def _sight(self, cue: Array) -> Array:
        return cue if self.discrete else jnp.asarray([2.0 * cue + 1 - self.cues], jnp.float32)


class ConstantReward(OneStep):
    """One action, reward 1. The value is 1.

    Failing: the value is not learned at all: its loss, its gradient or its learning rate is wrong.
    """

    def reward(self, cue: Array, action: Array) -> Array | float:
        return 1


class SeenReward(OneStep):
    """One action; the observation is -1 or 1, and so is the reward. The value is the observation.

    Failing, where `ConstantReward` is learned: the observation does not reach the value, or rows are mixed up.
    """

    cues = 2

    def reward(self, cue: Array, action: Array) -> Array | float:
        return 2 * cue - 1


class ActionReward(OneStep):
    """Two actions; action 1 pays 1, action 0 pays -1.

    Failing: the policy's gradient has the wrong sign, or the advantage is that of another action.
    """

    actions = Discrete(2)

    def reward(self, cue: Array, action: Array) -> Array | float:
        return 2 * action - 1


class MatchingReward(OneStep):
    """Two actions; the action that is the observation (-1: 0, 1: 1) pays 1, the other -1.

    Failing, where `ActionReward` is learned: the observation does not reach the policy, or observations, actions and
    advantages are in different orders.
    """

    cues = 2
    actions = Discrete(2)

    def reward(self, cue: Array, action: Array) -> Array | float:
        return jnp.where(action == cue, 1, -1)


class Combination(OneStep):
    """Two choices at once, of 2 and 3: 0.5 where the first is the observation (-1: 0, 1: 1), 0.5 where the second is 2.

    Failing: the choices of a MultiDiscrete action are mixed up, or their log-probabilities are not added.
    """

    cues = 2
    actions = MultiDiscrete((2, 3))

    def reward(self, cue: Array, action: Array) -> Array | float:
        return 0.5 * (action[0] == cue) + 0.5 * (action[1] == 2)


class DelayedReward(Env):
    """One action, two steps; the observation is 0, then 1; reward 1 at the end. The values are gamma, then 1.

    Failing: the next value is not discounted or not used, comes from the wrong time, or leaks over the end.
    """

    discrete: bool = False

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(2) if self.discrete else Box((1,), 0.0, 1.0), Discrete(1))

    def reset(self, key: Array) -> tuple[ProbeState, Array]:
        return _begun(key, 1), self._sight(jnp.int32(0))

    def step(self, env_state: ProbeState, action: Array, key: Array) -> tuple[ProbeState, Outcome]:
        second, end = env_state.time == 1, (env_state.time == 1).astype(jnp.float32)
        outcome = Outcome(self._sight(jnp.int32(1)), end, 1 - end, second)
        return env_state._replace(time=env_state.time + 1), outcome

    def _sight(self, time: Array) -> Array:
        return time if self.discrete else jnp.asarray([time], jnp.float32)


class Recall(Env):
    """A cue, -1 or 1, is seen at the first step only, and asked for `delay` steps later.

    The observation is [the cue or 0, 1 when it is asked for]. Only the action taken then counts: 1 where it names the
    cue (-1: 0, 1: 1), else -1. Without memory the expected return is 0, with it 1.
    Failing: the memory is not carried from step to step, is reset at the wrong time, or no gradient goes through it.
    """

    delay: Count = 4

    @property
    def spec(self) -> Spec:
        return Spec(Box((2,), -1.0, 1.0), Discrete(2))

    def reset(self, key: Array) -> tuple[ProbeState, Array]:
        state = _begun(key, 2)
        return state, self._sight(state)

    def step(self, env_state: ProbeState, action: Array, key: Array) -> tuple[ProbeState, Outcome]:
        asked = env_state.time == self.delay
        reward = jnp.where(asked, jnp.where(action == env_state.cue, 1.0, -1.0), 0.0)
        env_state = env_state._replace(time=env_state.time + 1)
        return env_state, Outcome(self._sight(env_state), reward, 1 - asked.astype(jnp.float32), asked)

    def _sight(self, state: ProbeState) -> Array:
        cue = jnp.where(state.time == 0, 2 * state.cue - 1, 0)
        return jnp.stack([cue, state.time == self.delay]).astype(jnp.float32)


class TimeLimitChain(Env):
    """One action, reward 1 in every step, cut short after `limit` steps, never over. The value is 1 / (1 - gamma).

    Failing: a time limit is taken for a termination; the value is too small. All observations are alike, so the time
    left cannot be known.
    """

    limit: Count = 10
    discrete: bool = False

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(1) if self.discrete else Box((1,), 0.0, 1.0), Discrete(1))

    def reset(self, key: Array) -> tuple[ProbeState, Array]:
        return _begun(key, 1), zeros(self.spec.obs)

    def step(self, env_state: ProbeState, action: Array, key: Array) -> tuple[ProbeState, Outcome]:
        env_state = env_state._replace(time=env_state.time + 1)
        outcome = Outcome(zeros(self.spec.obs), jnp.float32(1), jnp.float32(1), env_state.time >= self.limit)
        return env_state, outcome


class Target(Env):
    """One step; a continuous action in [-2, 2] is to be -1.5 times the observation, drawn from [-1, 1].

    The reward is -(action - target)^2, so at best 0. Failing: the density of the action is wrong, it is not scaled to
    the bounds of the space (the targets go beyond 1), or its sign is lost.
    """

    @property
    def spec(self) -> Spec:
        return Spec(Box((1,), -1.0, 1.0), Box((1,), -2.0, 2.0))

    def reset(self, key: Array) -> tuple[ProbeState, Array]:
        obs = jax.random.uniform(key, (1,), jnp.float32, -1.0, 1.0)
        return ProbeState(obs, jnp.int32(0)), obs

    def step(self, env_state: ProbeState, action: Array, key: Array) -> tuple[ProbeState, Outcome]:
        return _ended(env_state, env_state.cue, -jnp.sum((action + 1.5 * env_state.cue) ** 2))


class Forbidden(Env):
    """One step, three actions, the observed one illegal: it would pay 10, the one after it pays 1, the third 0.

    Failing: a return above 1 says that an illegal action was taken: the mask does not reach the policy. A return that
    stays below 1 says that the mask of one step is used in another, or in acting but not in learning.
    """

    @property
    def spec(self) -> Spec:
        return Spec(Masked(Discrete(3), MultiBinary(3)), Discrete(3))

    def reset(self, key: Array) -> tuple[ProbeState, Masked]:
        state = _begun(key, 3)
        return state, self._sight(state.cue)

    def step(self, env_state: ProbeState, action: Array, key: Array) -> tuple[ProbeState, Outcome]:
        reward = jnp.asarray([10.0, 1.0, 0.0])[(action - env_state.cue) % 3]
        return _ended(env_state, self._sight(env_state.cue), reward)

    def _sight(self, cue: Array) -> Masked:
        return Masked(cue, jnp.arange(3) != cue)


PROBES: tuple[type[Env], ...] = (ConstantReward, SeenReward, DelayedReward, ActionReward, MatchingReward,
                                 Recall, TimeLimitChain, Target, Combination, Forbidden)  # fmt: skip
