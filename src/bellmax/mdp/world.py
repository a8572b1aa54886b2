"""A model as an environment: what can be solved exactly can also be played, by every algorithm there is."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Env, Frozen, Outcome, Spec
from bellmax.maths.chance import uniform
from bellmax.mdp.model import MDP
from bellmax.ranges import Count
from bellmax.spaces import Discrete, Masked, MultiBinary

Table = Annotated[Any, float]  # an array, which JAX sees through as it does through a float
NEVER = 2.0  # a running sum that no number from [0, 1) reaches


class WorldState(NamedTuple):
    """Where the agent stands, and since when."""

    state: Array  # int32
    time: Array  # int32, steps taken in this episode


class Tables(Frozen):
    """The model as a step reads it: one row of `outcomes` numbers for each state and action, on the device."""

    sums: Table  # float32 [states, actions, outcomes], running sums of the probabilities
    successor: Table  # int32, the same shape; ~successor (which is negative) where the episode ends
    reward: Table  # float32 [states, actions, outcomes or 1]
    legal: Table  # bool [states, actions], or None
    starts: Table  # int32 [n], the states where an episode may begin
    start_sums: Table  # float32 [n], running sums of their probabilities; None if they are all alike


class World(Env):
    """Any `MDP` as an in-graph environment; `World(mdp)`.

    Observation: the state; with `mdp.legal`, `Masked` with the actions that are legal. It terminates on entering an
    absorbing state, and is cut after `max_steps`, if given. A step draws one random number and looks it up.
    """

    mdp: MDP
    max_steps: Count | None = None
    tables: Tables | None = None  # made from `mdp`; leave it

    frames_per_second = 4

    def __post_init__(self) -> None:
        Env.__post_init__(self)
        if self.tables is None:
            object.__setattr__(self, "tables", tables_of(self.mdp))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, World) and (self.mdp, self.max_steps) == (other.mdp, other.max_steps)

    def __hash__(self) -> int:
        return hash((self.mdp, self.max_steps))

    @property
    def spec(self) -> Spec:
        obs: Any = Discrete(self.mdp.states)
        if self.mdp.legal is not None:
            obs = Masked(obs, MultiBinary(self.mdp.actions))
        return Spec(obs, Discrete(self.mdp.actions))

    def reset(self, key: Array) -> tuple[WorldState, Any]:
        tables = self._tables
        if len(tables.starts) == 1:
            state = tables.starts[0]
        elif tables.start_sums is None:
            state = tables.starts[(uniform(key) * len(tables.starts)).astype(jnp.int32)]
        else:
            state = tables.starts[jnp.searchsorted(tables.start_sums, uniform(key), side="right")]
        return WorldState(state, jnp.int32(0)), self._see(state)

    def step(self, env_state: WorldState, action: Array, key: Array) -> tuple[WorldState, Outcome]:
        tables, row, time = self._tables, (env_state.state, action), env_state.time + 1
        outcome = (tables.sums[row] <= uniform(key)).sum(dtype=jnp.int32)
        successor = tables.successor[(*row, outcome)]
        reward = tables.reward[(*row, outcome if tables.reward.shape[2] > 1 else 0)]
        ends = successor < 0
        state = jnp.where(ends, ~successor, successor)
        last = ends if self.max_steps is None else ends | (time >= self.max_steps)
        return WorldState(state, time), Outcome(self._see(state), reward, 1 - ends.astype(jnp.float32), last)

    def text(self, env_state: WorldState) -> str:
        """The grid as text, the agent an `@`; without a grid, the number of the state."""
        from bellmax.mdp.drawing import map_text

        return map_text(self.mdp, int(env_state.state))

    def _see(self, state: Array) -> Any:
        legal = self._tables.legal
        return state if legal is None else Masked(state, legal[state])

    @property
    def _tables(self) -> Tables:
        assert self.tables is not None
        return self.tables


def tables_of(mdp: MDP) -> Tables:
    """The model as `World` reads it: rows together, running sums instead of probabilities, float32."""
    sums = np.cumsum(mdp.probability, axis=1, dtype=np.float64)
    after = np.cumsum(mdp.probability[:, ::-1] > 0, axis=1)[:, ::-1]  # outcomes from here on that are possible
    sums[after <= 1] = NEVER  # the sum may end a little below 1: the last possible outcome takes what is left
    successor = np.where(mdp.absorbing[mdp.successor], ~mdp.successor, mdp.successor)
    legal = None if mdp.legal is None else jnp.asarray(mdp.legal | mdp.absorbing[:, None])
    starts = ~mdp.absorbing if mdp.start is None else mdp.start > 0
    start_sums = None
    if mdp.start is not None and np.ptp(mdp.start[starts]) > 0:
        running = np.cumsum(mdp.start[starts], dtype=np.float64)
        start_sums = jnp.asarray(np.append(running[:-1], NEVER), jnp.float32)
    return Tables(
        _rows(sums, np.float32),
        _rows(successor, np.int32),
        _rows(mdp.reward, np.float32),
        legal,
        jnp.asarray(np.flatnonzero(starts), jnp.int32),
        start_sums,
    )


def _rows(array: np.ndarray, dtype: Any) -> Array:
    """[actions, outcomes, states] -> [states, actions, outcomes] on the device."""
    return jnp.asarray(np.ascontiguousarray(array.transpose(2, 0, 1), dtype))
