"""Standardised observations around any algorithm, with the running mean and variance of what it has seen.

As in the PPO authors' code (Engstrom et al., 2020, https://arxiv.org/abs/2005.12729, section 2): (obs - mean) /
deviation, clipped to +-10. Statistics learn in training alone, so acting and evaluating never move them, and they are
part of the state, so they are saved with the policy. Numbers are standardised; choices, switches, masks and pixels
pass through.

A batch that is used once is seen with the statistics that were used to act (so that PPO's first ratio is 1), and then
counted. With replay every step is counted once, as it is collected; steps are stored raw and seen with the statistics
of the moment whenever they are sampled.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jax import Array

from bellmax.core import Algorithm, Decision, Outcome, Spec, Transition
from bellmax.experience import Experience
from bellmax.maths.standardising import Seen, nothing_seen, standardised, take_in
from bellmax.ranges import Positive


class State(NamedTuple):
    """What has been learned, and seen."""

    inner: Any
    moments: Seen


class Normalised(Algorithm):
    """Around any algorithm: observations standardised and clipped."""

    inner: Algorithm
    clip: Positive = 10.0  # standardised observations are cut to this

    @property
    def experience(self) -> Experience:
        return self.inner.experience  # type: ignore[attr-defined]

    def init(self, key: Array, spec: Spec) -> State:
        return State(self.inner.init(key, spec), nothing_seen(spec.obs))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.act(state.inner, self.see(state, obs), key, memory)

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.greedy(state.inner, self.see(state, obs), key, memory)

    def begin(self, state: State, obs: Any, key: Array) -> Any:
        return self.inner.begin(state.inner, self.see(state, obs), key)

    def hear(self, state: State, memory: Any, outcome: Outcome) -> Any:
        return self.inner.hear(state.inner, memory, outcome._replace(obs=self.see(state, outcome.obs)))

    def observe(self, state: State, fresh: Transition) -> State:
        if self.experience.replays:
            state = state._replace(moments=take_in(state.moments, fresh.obs, fresh.weight))
        return state._replace(inner=self.inner.observe(state.inner, self.seen(state, fresh)))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        inner, metrics = self.inner.update(state.inner, self.seen(state, batch), key)
        if self.experience.replays:
            return state._replace(inner=inner), metrics
        return State(inner, take_in(state.moments, batch.obs, batch.weight)), metrics

    def seen(self, state: State, batch: Transition) -> Transition:
        """The batch as the inner algorithm gets it."""
        return batch._replace(obs=self.see(state, batch.obs), next_obs=self.see(state, batch.next_obs))

    def see(self, state: State, obs: Any) -> Any:
        """The observation as the inner algorithm gets it; any leading axes."""
        return standardised(state.moments, obs, self.clip)
