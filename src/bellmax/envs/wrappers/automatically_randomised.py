"""Physics whose ranges widen as the policy gets better."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Outcome
from bellmax.envs.parameters import parameters, with_parameters
from bellmax.envs.wrappers.randomised import Randomised, Ranges
from bellmax.envs.wrappers.wrapper import Wrapper
from bellmax.ranges import Count, Unit


class Curriculum(NamedTuple):
    """What outlives an episode, shared by all environments; parameters are in the order of their names."""

    episodes: Array  # int32, that were counted: the newest copy has the most
    reach: Array  # [parameters, 2] from 0, the physics as they are, to 1, the ends of the ranges
    total: Array  # [parameters, 2] sum of the scores in each end's buffer
    scores: Array  # [parameters, 2] int32, how many they are


class AutomaticallyRandomisedState(NamedTuple):
    """The inner state, what was drawn for this episode, and the curriculum as it was at its beginning."""

    inner: Any
    drawn: dict[str, Array]  # by name, float32 each
    end: Array  # int32, which end this episode measures: 2 parameter + (0 low, 1 high); -1 for none
    score: Array  # of this episode so far
    over: Array  # bool, has it ended? drivers that collect whole episodes go on
    curriculum: Curriculum


class AutomaticallyRandomised(Wrapper):
    """Automatic domain randomisation (ADR): `AutomaticallyRandomised(CartPole(), ranges, low=200, high=450)`.

    Akkaya et al., Solving Rubik's cube with a robot hand, 2019 (https://arxiv.org/abs/1910.07113), algorithm 1. The
    first episodes have the environment's own physics. With probability `measured` an episode puts one parameter, drawn
    evenly, at one of its present ends, the others being drawn within theirs, and its score goes into the buffer of that
    end. A full buffer is averaged and emptied: from `high` on the end moves outwards by `stride`, down to `low` it
    moves back, between the two it stays. Ends go from the environment's own value to that of `ranges`, no further.

    Around everything else: it begins episodes knowing how the last ones went (`restart`). Evaluations are in the whole
    of `ranges`. Beyond the paper: episodes that measure are learned from like all others; ends of several environments
    are one curriculum; where several episodes end at once, a buffer may hold a few more scores than it needs.
    Raises UnknownParameter, ValueError.
    """

    ranges: Ranges  # {name: (low, high)}: how far it may go
    low: float  # scores of up to this, on average, narrow a range
    high: float  # scores from this on widen it
    episodes: Count = 10  # m: scores in a full buffer
    stride: Unit = 0.1  # Delta: how far an end moves, of the way from the usual to the end of its range
    measured: Unit = 0.5  # how many episodes measure an end

    def __post_init__(self) -> None:
        Wrapper.__post_init__(self)
        object.__setattr__(self, "ranges", Randomised(self.inner, self.ranges).ranges)
        if not self.ranges:
            raise ValueError("AutomaticallyRandomised.ranges = {}: name at least one parameter.")
        numbers = [self.low, self.high, *(end for ends in self.ranges.values() for end in ends)]
        if not all(isinstance(number, int | float) for number in numbers):
            return  # which JAX is tracing
        if self.low > self.high:
            raise ValueError(f"AutomaticallyRandomised.low = {self.low}: it must be at most high = {self.high}.")
        usual = parameters(self.inner)
        for name, (least, most) in self.ranges.items():
            if isinstance(usual[name], int | float) and not least <= usual[name] <= most:
                raise ValueError(
                    f"AutomaticallyRandomised.ranges[{name!r}] = {(least, most)}: it begins with the environment's own "
                    f"{usual[name]}, which must lie between."
                )

    @property
    def for_evaluation(self) -> Env:
        """The whole of the ranges."""
        return Randomised(self.inner, self.ranges)

    def reset(self, key: Array) -> tuple[AutomaticallyRandomisedState, Any]:
        nothing = jnp.zeros((len(self.ranges), 2))
        return self._begin(Curriculum(jnp.int32(0), nothing, nothing, nothing.astype(jnp.int32)), key)

    def restart(self, before: AutomaticallyRandomisedState, last: Array, keys: Array) -> tuple[Any, Any]:
        newest = jnp.argmax(before.curriculum.episodes)
        known = jax.tree.map(lambda x: x[newest], before.curriculum)
        moved = self.moved(self.counted(known, before.end, before.score, last))
        return jax.vmap(self._begin, (None, 0))(moved, keys)

    def step(self, env_state: AutomaticallyRandomisedState, action: Any, key: Array) -> tuple[Any, Outcome]:
        inner, outcome = with_parameters(self.inner, env_state.drawn).step(env_state.inner, action, key)
        score = env_state.score + jnp.where(env_state.over, 0, outcome.reward)
        return env_state._replace(inner=inner, score=score, over=env_state.over | outcome.last), outcome

    def counted(self, known: Curriculum, end: Array, score: Array, last: Array) -> Curriculum:
        """The scores of the episodes that ended, [env] each, in the buffers of the ends that they measured."""
        measures = last[:, None] & (end[:, None] == jnp.arange(2 * len(self.ranges)))  # [env, end]
        shape = known.reach.shape
        total = known.total + jnp.where(measures, score[:, None], 0).sum(0).reshape(shape)
        scores = known.scores + measures.sum(0, dtype=jnp.int32).reshape(shape)
        return known._replace(episodes=known.episodes + last.sum(dtype=jnp.int32), total=total, scores=scores)

    def moved(self, known: Curriculum) -> Curriculum:
        """Ends whose buffers are full move, or stay, and their buffers are emptied."""
        full = known.scores >= self.episodes
        average = known.total / jnp.maximum(known.scores, 1)
        way = (average >= self.high).astype(jnp.float32) - (average <= self.low) * (average < self.high)
        reach = jnp.clip(jnp.where(full, known.reach + self.stride * way, known.reach), 0, 1)
        return known._replace(
            reach=reach, total=jnp.where(full, 0, known.total), scores=jnp.where(full, 0, known.scores)
        )

    def ends(self, known: Curriculum) -> tuple[Array, Array]:
        """The lowest and the highest of each parameter now, [..., parameters] each, in the order of their names."""
        usual, own = parameters(self.inner), sorted(self.ranges)
        middle = jnp.stack([jnp.asarray(usual[name], jnp.float32) for name in own])
        least, most = (jnp.stack([jnp.asarray(self.ranges[name][i], jnp.float32) for name in own]) for i in (0, 1))
        low = middle + known.reach[..., 0] * (least - middle)
        return low, middle + known.reach[..., 1] * (most - middle)

    def reached(self, env_state: AutomaticallyRandomisedState) -> dict[str, tuple[Any, Any]]:
        """How far each parameter's range goes, {name: (low, high)}; env_state of many environments: [..., env]."""
        known = jax.tree.map(np.asarray, env_state.curriculum)
        if known.episodes.ndim:
            newest = np.argmax(known.episodes, -1)
            known = known._replace(
                reach=np.take_along_axis(known.reach, newest[..., None, None, None], -3)[..., 0, :, :]
            )
        low, high = (np.asarray(end) for end in self.ends(known))
        return {name: (low[..., i], high[..., i]) for i, name in enumerate(sorted(self.ranges))}

    def _begin(self, known: Curriculum, key: Array) -> tuple[AutomaticallyRandomisedState, Any]:
        draw_key, coin_key, end_key, inner_key = jax.random.split(key, 4)
        count, (low, high) = len(self.ranges), self.ends(known)
        share = jax.random.uniform(draw_key, (count,))
        end = jax.random.randint(end_key, (), 0, 2 * count)
        end = jnp.where(jax.random.bernoulli(coin_key, self.measured), end, -1).astype(jnp.int32)
        share = jnp.where(end // 2 == jnp.arange(count), end % 2, share)  # -1 // 2 is -1: none
        values = low + share * (high - low)
        drawn = {name: values[i] for i, name in enumerate(sorted(self.ranges))}
        inner, obs = with_parameters(self.inner, drawn).reset(inner_key)
        return AutomaticallyRandomisedState(inner, drawn, end, jnp.float32(0), jnp.bool_(False), known), obs
