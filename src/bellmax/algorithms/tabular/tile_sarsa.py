"""Semi-gradient SARSA(lambda) with tile coding (Sutton, 1996); Sutton & Barto, sections 10.1 and 12.7.

https://papers.nips.cc/paper/1995/hash/8f1d43620bc6bb580df6e80b0dc05c48-Abstract.html. The value of an action is the sum
of the weights of the tiles that the observation lies in, F(S,A): one tile in each tiling. After every step, with A' the
action taken in S',

    delta <- R + gamma sum_F(S',A') w - sum_F(S,A) w
    z_i <- 1 for i in F(S,A)                                                              (replacing traces)
    w <- w + alpha delta z;  z <- gamma lambda z

lambda = 0 is the one-step method of section 10.1; what terminated has no S',A'. `learning_rate` is alpha times the
number of tilings: 1 would correct an error at once.

Beyond the book: the grids are stored whole instead of hashed; several environments, each with its traces, share the
weights and their changes are added up. A step waits for A' until the next is seen; one cut short by a time limit gets
an A' drawn there and then.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Steps
from bellmax.maths.chance import choose, invert, uniform
from bellmax.maths.exploration import EpsilonGreedy, Exploration, greedy
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.maths.tiles import cells, tile_indices
from bellmax.ranges import Count, Unit
from bellmax.spaces import Box, Discrete, Masked

MOST_WEIGHTS = 200_000_000  # weights and traces in all
ENDLESS = 1e30  # some spaces call the largest float32 their bound


class Waiting(NamedTuple):
    """The last step of every environment, if it still waits for the action after it; each leaf is [env, ...]."""

    active: Array  # int32 [env, tilings], the tiles it was in
    action: Array
    reward: Array
    discount: Array
    waits: Array  # bool


class State(NamedTuple):
    """What has been learned, and what is being learned."""

    weights: Array  # [actions, tilings, tiles of a tiling]
    count: Array  # type: ignore[assignment]  # how often each action was taken in each tile, the same shape
    trace: Array  # [env, actions, tilings, tiles of a tiling]
    waiting: Waiting
    low: Array  # [dimensions], where the tiles begin
    high: Array  # and where they end
    steps: Array  # environment steps learned from: the clock of the schedules


class TileSARSA(Algorithm):
    """On-policy control of continuous observations with a linear function of tiles."""

    experience: Steps = Steps(1)  # steps of every environment between two updates
    tilings: Count = 8  # grids laid askew over each other
    tiles: Count = 8  # between low and high in every dimension
    low: tuple[float, ...] = ()  # where the tiles begin, a number a dimension; () is what the environment says
    high: tuple[float, ...] = ()  # where they end; values beyond count as being there
    gamma: Unit = 0.99  # discount
    lambda_: Unit = 0.9  # how far errors are passed back; 0 is one step
    learning_rate: Scheduled = 0.5  # alpha times the number of tilings
    exploration: Exploration = EpsilonGreedy(0.1)  # how actions are chosen while learning
    initial: float = 0.0  # Q at first; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        low, high = self.range_of(spec)
        if not isinstance(spec.action, Discrete):
            raise ValueError(f"action space {spec.action}: TileSARSA needs Discrete actions; try PPO for others.")
        shape = (spec.action.n, self.tilings, cells(len(low), self.tiles))
        size = np.prod(shape, dtype=float)
        if size * (1 + spec.num_envs) > MOST_WEIGHTS:
            raise ValueError(
                f"TileSARSA.tiles = {self.tiles}: {len(low)} dimensions make {size:.0e} weights, and as many traces "
                "for each environment; take fewer tiles, or a method with a network."
            )
        active = jnp.zeros((spec.num_envs, self.tilings), jnp.int32)
        numbers = (jnp.zeros(spec.num_envs, kind) for kind in (jnp.int32, jnp.float32, jnp.float32, bool))
        weights = jnp.full(shape, self.initial / self.tilings, jnp.float32)
        trace = jnp.zeros((spec.num_envs, *shape))
        begins, ends = (jnp.asarray(bound, jnp.float32) for bound in (low, high))
        return State(weights, jnp.zeros(shape), trace, Waiting(active, *numbers), begins, ends, jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(self.policy(state, obs), key))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q = values(state.weights, self.active(state, obs)).sum(-1)
        return Decision(choose(greedy(q, legal_of(obs)), key))

    def policy(self, state: State, obs: Any) -> Array:
        """The probabilities of the actions for one observation, exploring -> [actions]."""
        active = self.active(state, obs)
        q, count = values(state.weights, active).sum(-1), values(state.count, active).mean(-1)
        return self.exploration.probabilities(q, count, state.steps, legal_of(obs))

    def active(self, state: State, obs: Any) -> Array:
        """The tiles that one observation lies in -> int32 [tilings]."""
        point = jnp.ravel(obs.obs if isinstance(obs, Masked) else obs)
        return tile_indices(point, state.low, state.high, self.tilings, self.tiles)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        numbers = uniform(key, batch.reward.shape)
        state, (td_error, learned) = jax.lax.scan(self.step, state, (batch, numbers))
        metrics = {"td_error": weighted_mean(jnp.abs(td_error), learned)}
        return state, metrics | {"reward": weighted_mean(batch.reward, batch.weight)}

    def step(self, state: State, now: tuple[Transition, Array]) -> tuple[State, tuple[Array, Array]]:
        """One step of every environment, batch [env]: it completes what waited for it, then waits, or is the last."""
        batch, number = now
        real, old = batch.weight > 0, state.waiting
        active, next_active = (jax.vmap(self.active, (None, 0))(state, obs) for obs in (batch.obs, batch.next_obs))
        fade = self.gamma * old.discount * self.lambda_
        state, old_error = self.learn(state, old, old.waits & real, active, batch.action, fade)
        new = Waiting(active, batch.action, batch.reward, batch.discount, ~batch.last)
        next_action = jax.vmap(invert)(jax.vmap(self.policy, (None, 0))(state, batch.next_obs), number)
        state, new_error = self.learn(state, new, batch.last & real, next_active, next_action, jnp.zeros_like(fade))
        waiting = jax.tree.map(lambda new, old: jnp.where(real.reshape(-1, *[1] * (new.ndim - 1)), new, old), new, old)
        count = state.count.at[(batch.action[:, None], jnp.arange(self.tilings), active)].add(real[:, None])
        state = state._replace(waiting=waiting, count=count, steps=state.steps + real.sum())
        return state, (jnp.stack([old_error, new_error]), jnp.stack([old.waits & real, batch.last & real]))

    def learn(
        self, state: State, taken: Waiting, ready: Array, next_active: Array, next_action: Array, fade: Array
    ) -> tuple[State, Array]:
        """The three equations, in the environments that are `ready`; traces last on by `fade` -> state, TD error."""
        tilings = jnp.arange(self.tilings)
        here = taken.action[:, None], tilings, taken.active
        there = next_action[:, None], tilings, next_active
        value, next_value = (state.weights[tiles].sum(-1) for tiles in (here, there))
        td_error = jnp.where(ready, taken.reward + self.gamma * taken.discount * next_value - value, 0)
        marked = jnp.arange(len(ready))[:, None], *here
        trace = state.trace.at[marked].set(jnp.where(ready[:, None], 1, state.trace[marked]))
        alpha = at(self.learning_rate, state.steps) / self.tilings
        td_errors, fades = (x.reshape(-1, 1, 1, 1) for x in (td_error, jnp.where(ready, fade, 1)))
        weights = state.weights + alpha * (td_errors * trace).sum(0)
        return state._replace(weights=weights, trace=fades * trace), td_error

    def range_of(self, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
        """Where the tiles begin and end, [dimensions]; raises ValueError where that is not known."""
        space = spec.obs.obs if isinstance(spec.obs, Masked) else spec.obs
        if not isinstance(space, Box):
            raise ValueError(f"observation space {space}: TileSARSA needs a Box; try Q-learning for others.")
        said = zip(("low", "high"), (self.low, self.high), (bound.ravel() for bound in space.bounds()))
        low, high = (_chosen(name, field, bound) for name, field, bound in said)
        for index in range(len(low)):
            if not (abs(low[index]) < ENDLESS and abs(high[index]) < ENDLESS and low[index] < high[index]):
                raise ValueError(
                    f"dimension {index} of the observation goes from {low[index]:g} to {high[index]:g}, which cannot "
                    "be cut into tiles: say which range matters with the fields low=(...) and high=(...) of TileSARSA."
                )
        return low, high


def _chosen(name: str, field: tuple[float, ...], bound: np.ndarray) -> np.ndarray:
    """The bounds to tile with: those of the field, or the space's own where it is empty."""
    if field and len(field) != len(bound):
        raise ValueError(f"TileSARSA.{name} = {field}: give {len(bound)} numbers, one a dimension of the observation.")
    return np.asarray(field, np.float64) if field else bound


def values(weights: Array, active: Array) -> Array:
    """What each tiling says of each action, given its active tile, [tilings] -> [actions, tilings]."""
    return weights[:, jnp.arange(len(active)), active]
