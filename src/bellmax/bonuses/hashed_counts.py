"""Counts of what was seen, by its hash (Tang et al., 2017, https://arxiv.org/abs/1611.04717).

    n(h(s)) <- n(h(s)) + 1 for every step,    bonus = 1 / sqrt(n(h(s)))                                   (eq. 1)

    h(s) = sign(A s),  A random normal: alike observations have alike signs (SimHash, eq. 2)

The weight of the bonus is the paper's beta. With `actions`, pairs of an observation and the action taken there are
counted, as in Strehl & Littman, 2008 (https://doi.org/10.1016/j.jcss.2007.08.009, eq. 7), whose bonus is the same.

Beyond the paper: a step is paid for where it leads, so that an episode's end counts as well; observations made of
choices are told apart exactly where the table is large enough; signs are those of A s + b, so that length counts and
not only direction (make observations of about unit size: `Normalised(Curious(...))`); one table of `cells` instead of
six: different hashes share a cell by chance, of m hashes one has it to itself with probability exp(-m / cells).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.bonuses.bonus import Bonus, flat
from bellmax.core import Spec, Transition
from bellmax.networks.hashes import Exact, SimHash, table_for
from bellmax.ranges import Count
from bellmax.spaces import Discrete, Masked


class State(NamedTuple):
    """What was seen."""

    counts: Array  # n, int32 [cells]
    place: Exact | SimHash  # h
    choices: Array  # all actions, where they are counted and `Discrete`: [actions]


class HashedCounts(Bonus):
    """1 / sqrt(n), n being how often what a step leads to was seen."""

    actions: bool = False  # count what is done where, instead of where it leads
    bits: Count = 32  # length of the hash: more tell more apart
    cells: Count = 2**16  # of the table

    def init(self, key: Array, spec: Spec) -> State:
        obs = _unmasked(spec.obs)
        place = table_for(key, (obs, spec.action) if self.actions else obs, self.bits, self.cells)
        choices = spec.action.n if self.actions and isinstance(spec.action, Discrete) else 0
        return State(jnp.zeros(self.cells, jnp.int32), place, jnp.arange(choices))

    def observe(self, state: State, fresh: Transition) -> State:
        seen = (fresh.weight != 0).astype(jnp.int32).reshape(-1)
        return state._replace(counts=state.counts.at[self.cell(state, fresh)].add(seen))

    def of(self, state: State, batch: Transition) -> Array:
        n = state.counts[self.cell(state, batch)].reshape(batch.reward.shape)
        return jax.lax.rsqrt(jnp.maximum(n, 1).astype(jnp.float32))

    def untried(self, state: State, obs: Any) -> Array:
        if not len(state.choices):
            raise ValueError(
                f"Curious.untried_first = True: HashedCounts.actions = {self.actions} does not count Discrete actions; "
                "set it to True, or leave untried_first out where actions are of another kind."
            )
        return jax.vmap(lambda action: state.counts[state.place((_unmasked(obs), action))] == 0)(state.choices)

    def cell(self, state: State, batch: Transition) -> Array:
        """Where each step is counted, all in a row."""
        what = (_unmasked(batch.obs), batch.action) if self.actions else _unmasked(batch.next_obs)
        return jax.vmap(state.place)(flat(what, batch.weight))


def _unmasked(obs: Any) -> Any:
    return obs.obs if isinstance(obs, Masked) else obs
