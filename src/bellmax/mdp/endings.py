"""Undiscounted models: loops that cost nothing, policies that end, and a bound where contraction gives none.

With gamma = 1 the optimum is the best expected return among the policies that reach an absorbing state with
probability 1, from everywhere (Bertsekas & Tsitsiklis, 1991, https://doi.org/10.1287/moor.16.3.580). Two things go
wrong when that is forgotten, and are mended here:

* States among which one can walk about for ever at no cost all have the same value, the best exit's. A sweep sees that
  only in the end, and a greedy policy may walk about for ever. `free_walks` finds them (maximal end components of the
  actions that pay nothing; the idea is from probabilistic model checking: Haddad & Monmege, 2018,
  https://doi.org/10.1016/j.tcs.2016.12.003).
* A small residual proves nothing by itself. If w(s) is at least the expected number of steps to the end under EVERY
  choice of actions that are best up to a margin, and v moves by at most d in a sweep, then v + d w and v - d w enclose
  the optimum as long as the margin is at least d max w:

      T (v + d w) <= max_a [ q(s,a) + d P_a w ] <= v + d w,     since P_a w <= w - 1 for an action within the margin and
      q(s,a) <= v - margin for any other; a policy within the margin has at least v - d w, by the same steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from bellmax.mdp.layout import Model
from bellmax.mdp.model import MDP
from bellmax.mdp.sweeps import action_values

if TYPE_CHECKING:
    from bellmax.mdp.solution import Problem

STEPS = 100_000  # to look ahead at most, for the time to the end
MARGINS = 20  # tries to find one that holds


def judge(it: Problem, values: Array) -> tuple[np.ndarray, float, float]:
    """The last word on values float64 [states] where a step may lose nothing -> values, bound, residual."""
    inner, group = free_walks(it.mdp) if it.mdp.gamma == 1 else no_walks(it.mdp)
    inner_actions, same = jnp.asarray(inner), jnp.asarray(group)
    values = levelled(values, same)
    q = jnp.where(inner_actions, -jnp.inf, action_values(it.exact, values))
    best = levelled(jnp.max(q, axis=0), same)
    residual = float(jnp.max(jnp.where(it.exact.absorbing, 0.0, jnp.abs(best - values))))
    moved = residual + it.rounding(float(jnp.max(jnp.abs(values))))
    gap = values - q
    margin = 8 * moved
    for _ in range(MARGINS):
        near = (gap <= margin) & ~it.exact.absorbing
        longest = float(longest_time(it.exact.with_reward(jnp.where(near, 1.0, -jnp.inf)), same))
        if moved * longest <= margin or not np.isfinite(longest):
            return np.asarray(values), moved * longest, residual
        margin = 2 * moved * longest
    return np.asarray(values), np.inf, residual


def levelled(values: Array, same: Array) -> Array:
    """Every state of a group gets the best value in it."""
    return jax.ops.segment_max(values, same, values.size)[same]


@jax.jit
def longest_time(model: Model, same: Array) -> Array:
    """At least the expected number of steps to the end under any choice of actions: the model's rewards are 1 for those
    that may be chosen, -inf for others. Infinite if it was not found in STEPS.

    w_n, the expected number of the first n steps that are made, grows to the answer. Once it grows by at most 1/10 in a
    sweep, w = w_n / (1 - 1/10) keeps w >= 1 + max_a P_a w, and so is at least the expected time.
    """

    def sweep(it: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        time, _, made = it
        new = levelled(jnp.max(action_values(model, time), axis=0), same)
        return new, jnp.max(new - time), made + 1

    start = jnp.zeros(model.absorbing.shape, model.reward.dtype), jnp.asarray(jnp.inf), jnp.int32(0)
    time, grown, _ = lax.while_loop(lambda it: (it[1] > 0.1) & (it[2] < STEPS), sweep, start)
    return jnp.where(grown <= 0.1, jnp.max(time) / 0.9 * (1 + 1e-9), jnp.inf)


def free_walks(mdp: MDP) -> tuple[np.ndarray, np.ndarray]:
    """-> bool [actions, states], the actions that stay on a free walk; int32 [states], who walks together."""
    from scipy.sparse.csgraph import connected_components

    used = mdp.probability > 0
    pays = (mdp.reward != 0) | mdp.absorbing[mdp.successor]
    inner = legal_actions(mdp) & ~mdp.absorbing & ~(used & pays).any(axis=1)
    group = np.arange(mdp.states, dtype=np.int32)
    while inner.any():
        _, label = connected_components(edges(mdp, inner), connection="strong")
        stays = ~(used & (label[mdp.successor] != label)).any(axis=1) & inner
        if (stays == inner).all():
            walking = np.flatnonzero(inner.any(axis=0))
            _, first, back = np.unique(label[walking], return_index=True, return_inverse=True)
            group[walking] = walking[first][back]
            break
        inner = stays
    return inner, group


def no_walks(mdp: MDP) -> tuple[np.ndarray, np.ndarray]:
    """What `free_walks` gives when there is none: discounting makes each of them cost something."""
    return np.zeros((mdp.actions, mdp.states), bool), np.arange(mdp.states, dtype=np.int32)


def legal_actions(mdp: MDP) -> np.ndarray:
    """bool [actions, states]."""
    return np.ones((mdp.actions, mdp.states), bool) if mdp.legal is None else mdp.legal.T


def edges(mdp: MDP, allowed: np.ndarray) -> object:
    """The graph of what can happen under the `allowed` actions [actions, states], as a SciPy matrix [from, to]."""
    from scipy.sparse import csr_matrix

    action, outcome, state = np.nonzero((mdp.probability > 0) & allowed[:, None])
    there = mdp.successor[action, outcome, state]
    return csr_matrix((np.ones(len(state), np.int8), (state, there)), shape=(mdp.states, mdp.states))


def towards_the_end(mdp: MDP, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A policy of `allowed` actions [actions, states] that may come one step nearer to an absorbing state in every step
    -> int [states]; bool [states], where there is a way at all."""
    from scipy.sparse import csr_matrix, vstack
    from scipy.sparse.csgraph import breadth_first_order

    back = edges(mdp, allowed & ~mdp.absorbing).T.tocsr()  # type: ignore[attr-defined]
    ends = np.flatnonzero(mdp.absorbing)
    root = csr_matrix((np.ones(len(ends), np.int8), (np.zeros(len(ends), int), ends)), shape=(1, mdp.states))
    graph = vstack([back, root]).tocsr()
    graph.resize(mdp.states + 1, mdp.states + 1)
    order, before = breadth_first_order(graph, mdp.states)
    found = np.zeros(mdp.states + 1, bool)
    found[order] = True
    leads = (mdp.successor == before[:-1]) & (mdp.probability > 0) & allowed[:, None]
    return leads.any(axis=1).argmax(axis=0), found[:-1]


def choose_to_end(mdp: MDP, equal: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Among the best actions [states, actions], those that also lead to the end: int [states].

    Where the best up to rounding do not, those within the bound are asked.
    """
    policy = equal.argmax(axis=1)
    chosen, found = towards_the_end(mdp, equal.T)
    if not found.all():
        wider, found_wider = towards_the_end(mdp, np.where(found[:, None], equal, within).T)
        chosen, found = np.where(found, chosen, wider), found | found_wider
    return np.where(found & ~mdp.absorbing, chosen, policy)


def demand_a_way(mdp: MDP, allowed: np.ndarray | None = None, who: str = "MDP") -> np.ndarray:
    """The policy of `towards_the_end`; ValueError, naming the state, where there is no way."""
    policy, found = towards_the_end(mdp, legal_actions(mdp) if allowed is None else allowed)
    if not found.all():
        raise ValueError(
            f"{who}: with gamma = 1, state {found.argmin()} never comes to an absorbing state, so that its return is "
            "a sum without end; give gamma < 1."
        )
    return policy
